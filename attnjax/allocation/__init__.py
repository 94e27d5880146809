"""attnjax.allocation"""

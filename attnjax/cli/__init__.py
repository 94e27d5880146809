"""attnjax.cli"""

"""attnjax.objectives"""

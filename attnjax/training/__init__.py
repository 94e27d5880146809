"""attnjax.training"""

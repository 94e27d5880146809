"""attnjax.data"""

"""attnjax.models"""

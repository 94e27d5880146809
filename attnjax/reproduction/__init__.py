"""attnjax.reproduction"""

"""attnjax.evaluation"""

"""Runs that make claims: one folder per experiment, run by `attnjax run NAME`."""

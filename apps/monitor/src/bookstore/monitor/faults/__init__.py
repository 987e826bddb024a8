"""Failures that are switched on on purpose, and end by themselves."""

"""Guided stories with the running system."""

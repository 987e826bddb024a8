"""Resilience policies and pipelines."""

"""Switching the circuits of services, process by process."""

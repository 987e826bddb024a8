"""pytest plugin: real stores for any test."""

"""The bookstore command: starts the whole system, watches it, shows it."""

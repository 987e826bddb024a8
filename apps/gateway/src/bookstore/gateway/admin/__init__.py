"""Where operators look at a running gateway, and change it."""

"""The supplier: the outside world, which validates orders, and fails on command."""

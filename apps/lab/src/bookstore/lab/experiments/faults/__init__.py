"""Faults, a room for each kind of thing that fails. Each adds to the bench how to see whether it bit."""

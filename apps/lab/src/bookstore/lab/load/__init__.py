"""The load generator: an open model, timed from the scheduled start."""

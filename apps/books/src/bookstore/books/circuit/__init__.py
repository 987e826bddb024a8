"""A circuit breaker to look at: calls of a target that never answers."""

"""A real PostgreSQL and a real Redis as ordinary loopback servers, for a laptop and for tests."""

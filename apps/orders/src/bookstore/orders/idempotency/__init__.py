"""Idempotency keys: a request that is sent again is answered as before, and nothing more is done."""

"""What every answer that can be cached, here and by callers, has in common."""

from time import perf_counter

REVALIDATE = {"Cache-Control": "no-cache"}
"""Callers may keep what they read, but ask each time whether it is still so: its `ETag` makes that cheap."""


def told(body: bytes, started: float, *, from_cache: bool) -> bytes:
    """A JSON object with where it came from and how long that took; the rest of it is not written again."""
    took = (perf_counter() - started) * 1000
    source = b"true" if from_cache else b"false"
    return b'%b,"from_cache":%b,"processing_time_ms":%.3f}' % (body[:-1], source, took)

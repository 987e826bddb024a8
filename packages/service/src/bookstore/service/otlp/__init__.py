"""OTLP, the protocol in which traces travel: spans to bytes, and bytes to spans. Needs no library."""

from bookstore.service.otlp.decode import Malformed, ReceivedSpan, decode

__all__ = ["Malformed", "ReceivedSpan", "decode"]

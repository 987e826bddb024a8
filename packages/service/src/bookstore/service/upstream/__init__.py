"""Calls to another service: the one seam for all HTTP that a service sends.

    upstream = Upstream("http://127.0.0.1:8001")
    answer = await upstream.request("GET", "/v1/books/1")
    async with upstream.stream("POST", "/v1/books", body=chunks) as answer:
        async for chunk in answer: ...

Every failure is one of three: `ConnectFailed` (nothing was sent), `TimedOut`, `Broken`. Nothing is
decompressed, redirected, remembered or taken from the environment; why that took a client of our own is told
in docs/decisions/0005-upstream-http-client.md.
"""

from bookstore.service.upstream.client import Answer, StreamedAnswer, Upstream
from bookstore.service.upstream.error import Broken, ConnectFailed, TimedOut, UpstreamError
from bookstore.service.upstream.head import Header, header_lines

__all__ = [
    "Answer",
    "Broken",
    "ConnectFailed",
    "Header",
    "StreamedAnswer",
    "TimedOut",
    "Upstream",
    "UpstreamError",
    "header_lines",
]

"""What is answered to bytes that are no request: there is no app that could be asked."""

import re
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

import httptools
import msgspec

from bookstore.contracts.problems import MEDIA_TYPE, NAMESPACE, ProblemDetails, reference
from bookstore.service import context
from bookstore.service.context import RequestContext
from bookstore.service.door.target import decoded, split

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ ([!-~]+) HTTP/1\.[01]\r\n")
_HEADER = re.compile(rb"\n([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)")
# Python names these by an older RFC, or not at all, and an answer must not depend on that.
_PHRASES = {414: "URI Too Long", 431: "Request Header Fields Too Large", 505: "HTTP Version Not Supported"}


class Refusal(Exception):
    """A request that is refused before anybody looks at what it asks for.

    Args:
        status: What is answered.
        slug: What kind of problem it is.
        detail: The same in words.
        target: What was asked for, as far as that is known.
        headers: Those of the request, as far as they are known.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        target: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self._target = target
        self._headers = headers

    def request(self, *, traced: bool) -> RequestContext:
        """What was refused; its ids are the caller's where they are sane."""
        known = dict(self._headers)
        return context.begin(
            request_id=known.get(b"x-request-id"),
            traceparent=known.get(b"traceparent"),
            tracestate=None,
            traced=traced,
        )

    def written(self, request: RequestContext) -> bytes:
        """The whole answer, after which the connection ends."""
        title = _PHRASES.get(self.status) or HTTPStatus(self.status).phrase
        body = msgspec.json.encode(
            ProblemDetails(
                type=NAMESPACE + self.slug,
                title=title,
                status=self.status,
                detail=self.detail,
                instance=reference(_path(self._target)),
                request_id=request.request_id,
                trace_id=request.trace_id,
            )
        )
        of_trace = f"x-trace-id: {request.trace_id}\r\n" if request.trace_id else ""
        return (
            f"HTTP/1.1 {self.status} {title}\r\ndate: {formatdate(usegmt=True)}\r\n"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request.request_id}\r\n{of_trace}connection: close\r\n\r\n"
        ).encode() + body


def _path(target: bytes) -> str:
    try:
        return decoded(split(target, "")[0]) if target else ""
    except httptools.HttpParserError:  # it may be anything
        return ""


def unreadable(error: httptools.HttpParserError, data: bytes) -> Refusal:
    """What the parser could make nothing of; its own words stay here.

    Args:
        error: What the parser says.
        data: The bytes that it was given, if the request begins with them.
    """
    if isinstance(error.__context__, Refusal):
        return error.__context__
    line = _REQUEST_LINE.match(data)
    if line and isinstance(error, httptools.HttpParserInvalidMethodError):
        # The parser stopped before it had read anything.
        headers = [
            (name.lower(), value) for name, value in _HEADER.findall(data.partition(b"\r\n\r\n")[0] + b"\r\n")
        ]
        detail = "this method is none that is known here"
        return Refusal(501, "not-implemented", detail, target=line[1], headers=headers)
    return Refusal(400, "bad-request", "this is no request that can be read in one way only")


def failed(path: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Refusal:
    """What is answered for an app that didn't."""
    return Refusal(500, "internal", "something went wrong here", target=path, headers=headers)


TOO_LONG = Refusal(431, "header-fields-too-large", "the head of the request is too long")
TOO_SLOW = Refusal(408, "request-timeout", "the head of the request did not come in time")

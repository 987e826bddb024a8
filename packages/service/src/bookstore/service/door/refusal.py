"""What is answered to bytes that are no request: there is no app that could be asked."""

import re
from http import HTTPStatus

import httptools
import msgspec

from bookstore.contracts.problems import MEDIA_TYPE, NAMESPACE, ProblemDetails
from bookstore.service.context import new_trace_id

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.[01]\r\n")
# Python names these by an older RFC, or not at all, and an answer must not depend on that.
_PHRASES = {431: "Request Header Fields Too Large", 505: "HTTP Version Not Supported"}


class Refusal(Exception):
    """A request that is refused before anybody looks at what it asks for."""

    def __init__(self, status: int, slug: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail

    def written(self) -> bytes:
        """The whole answer, after which the connection ends."""
        title = _PHRASES.get(self.status) or HTTPStatus(self.status).phrase
        request_id = new_trace_id()
        body = msgspec.json.encode(
            ProblemDetails(
                type=NAMESPACE + self.slug,
                title=title,
                status=self.status,
                detail=self.detail,
                instance="",
                request_id=request_id,
            )
        )
        return (
            f"HTTP/1.1 {self.status} {title}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        ).encode() + body


def unreadable(error: httptools.HttpParserError, data: bytes) -> Refusal:
    """What the parser could make nothing of; its own words stay here."""
    if isinstance(error.__context__, Refusal):
        return error.__context__
    if isinstance(error, httptools.HttpParserInvalidMethodError) and _REQUEST_LINE.match(data):
        return Refusal(501, "not-implemented", "this method is none that is known here")
    return Refusal(400, "bad-request", "this is no request that can be read in one way only")


FAILED = Refusal(500, "internal", "something went wrong here")
TOO_LONG = Refusal(431, "header-fields-too-large", "the head of the request is too long")
TOO_SLOW = Refusal(408, "request-timeout", "the head of the request did not come in time")

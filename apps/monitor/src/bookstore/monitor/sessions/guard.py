"""What every switch asks before anything else: that no foreign page sent the request, and who did.

A page on another port of this machine is of the same site, and cookies know no ports: `SameSite` alone would
let it in. Browsers say where a request comes from, in `Origin` and `Sec-Fetch-Site`; programs say neither,
and need a token anyway.
"""

from urllib.parse import urlsplit

from bookstore.service.problem import Asked, Problem
from bookstore.service.tokens.callers import Together, ops_logged_in

_JSON = "application/json"


class ForeignOrigin(Problem):
    """A page that isn't ours has sent this."""

    def __init__(self) -> None:
        super().__init__(403, "foreign-origin", "this is for the console's own page, and for no other")


async def own_page(request: Asked) -> None:
    """For `before_request`: from no page at all, or from one of ours."""
    headers = request.scope["headers"]
    hosts = [value for name, value in headers if name == b"host"]
    for name, value in headers:
        if name == b"sec-fetch-site" and value != b"same-origin":
            raise ForeignOrigin
        if name == b"origin" and _place(value) not in hosts:
            raise ForeignOrigin


async def no_foreign_page(request: Asked) -> None:
    """For `before_request` of what is read: people may come by the address bar, other pages may not."""
    told = {value for name, value in request.scope["headers"] if name == b"sec-fetch-site"}
    if not told <= {b"same-origin", b"none"}:
        raise ForeignOrigin


async def json_only(request: Asked) -> None:
    """For `before_request`: what no form of a foreign page can send. DELETE is none of those by itself."""
    sent = request.headers.get("content-type")
    if (sent is not None or request.method != "DELETE") and (sent or "").partition(";")[
        0
    ].strip().lower() != _JSON:
        raise Problem(415, "unsupported-media-type", f"send {_JSON}")


SWITCHING = Together(own_page, ops_logged_in, json_only)
"""The hooks of everything that changes something."""


def _place(origin: bytes) -> bytes:
    try:
        parts = urlsplit(origin.decode("ascii"))
    except ValueError:
        return b""
    return parts.netloc.encode() if parts.scheme in ("http", "https") else b""

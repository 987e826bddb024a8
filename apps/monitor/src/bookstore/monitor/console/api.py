"""The page over HTTP.

All of it comes from here: no foreign host, no script or style within the page itself, no frame round it.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get
from litestar.params import FromPath

from bookstore.monitor.console.assets import INDEX, Asset
from bookstore.service.conditional import is_known
from bookstore.service.problem import Asked, Problem
from bookstore.service.provide import Given

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}

_PAGE: Final = "/console"
_DOORS: Final = ("/", _PAGE)
_GZIP: Final = re.compile(
    r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[0-9.]+\s*)?(?=,|$)", re.IGNORECASE
)


@get("/console/{path:path}", include_in_schema=False)
async def file(path: FromPath[str], request: Asked, assets: Given[Mapping[str, Asset]]) -> Response[bytes]:
    """A file of the page."""
    return _answer(path.strip("/"), request, assets)


@get(_PAGE, include_in_schema=False)
async def page(request: Asked, assets: Given[Mapping[str, Asset]]) -> Response[bytes]:
    """The page itself."""
    return _answer(INDEX, request, assets)


def _answer(path: str, request: Asked, assets: Mapping[str, Asset]) -> Response[bytes]:
    asset = assets.get(path)
    if asset is None:
        raise Problem(404, "not-found", "the page has no such file")
    packed = bool(_GZIP.search(request.headers.get("accept-encoding", "")))
    etag = asset.packed_etag if packed else asset.etag
    headers = {**HEADERS, "ETag": etag}
    if is_known(request.scope["headers"], etag):
        return Response(b"", status_code=304, headers=headers)
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.packed if packed else asset.plain, media_type=asset.kind, headers=headers)


def leading_to_the_page(routes: "ASGIApp") -> "ASGIApp":
    """Send a visitor of `/` on to `/console/`, and one of `/console` too.

    It stands in front of the router, which takes `/console` and `/console/` for the same: only with the slash
    do the page's relative addresses lead to its files.
    """

    async def front(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http" and scope["path"] in _DOORS and scope["method"] in ("GET", "HEAD"):
            headers: list[Any] = [(b"location", b"console/"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 307, "headers": headers})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await routes(scope, receive, send)

    return front


handlers = [file, page]

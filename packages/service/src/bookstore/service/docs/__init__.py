"""The page at /docs: what the service answers, and a way to try it. Works without any other host."""

import importlib.resources
from typing import Any

from litestar import Litestar, Request, Response, Router, get
from litestar.datastructures import ResponseHeader
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin

from bookstore.service.docs.described import Values, described, problems
from bookstore.service.docs.security import refusals, with_security

__all__ = ["Page", "Values", "config", "document", "openapi", "problems"]

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'",
    "X-Content-Type-Options": "nosniff",
}


_PATHS = frozenset({"/docs", "/docs/page.js", "/docs/page.css"})


def _asset(name: str) -> bytes:
    return (importlib.resources.files(__name__) / name).read_bytes()


class Page(OpenAPIRenderPlugin):
    """Our own page, where Litestar would load one from another host."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page; it reads /openapi.json itself."""
        del request, openapi_schema
        return _asset("page.html")


def document(app: Litestar) -> dict[str, Any]:
    """What a service answers, as OpenAPI 3.1."""
    return with_security(described(app.openapi_schema.to_schema(), refusals(app)), app)


@get("/openapi.json", include_in_schema=False)
async def openapi(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """What the service answers, as OpenAPI 3.1."""
    return Response(document(request.app))


@get("/page.js")
async def _script() -> Response[bytes]:
    return Response(_asset("page.js"), media_type="text/javascript")


@get("/page.css")
async def _style() -> Response[bytes]:
    return Response(_asset("page.css"), media_type="text/css")


async def _nothing_else(request: Request[Any, Any, Any]) -> None:
    """Litestar would add a document of its own, and a page that says 404 in HTML."""
    if request.scope["path"].rstrip("/") not in _PATHS:
        raise NotFoundException


def config(title: str, version: str) -> OpenAPIConfig:
    """What Litestar is told about our page."""
    headers = [ResponseHeader(name=name, value=value) for name, value in _HEADERS.items()]
    return OpenAPIConfig(
        title=title,
        version=version,
        render_plugins=[Page()],
        openapi_router=Router(
            "/docs",
            route_handlers=[_script, _style],
            before_request=_nothing_else,
            response_headers=headers,
            include_in_schema=False,
        ),
        use_handler_docstrings=True,
    )

"""Which methods a path has, told by OPTIONS and by 405.

Litestar makes an answer of its own for the first handler of a path, and keeps it when others join.
"""

from collections import defaultdict
from collections.abc import Iterable

from litestar import Response, route
from litestar.handlers import HTTPRouteHandler


def options_for(handlers: Iterable[object]) -> list[HTTPRouteHandler]:
    """A handler of OPTIONS for each path of `handlers`; it must be registered before them."""
    methods: defaultdict[str, set[str]] = defaultdict(set)
    for handler in handlers:
        if isinstance(handler, HTTPRouteHandler):
            for path in handler.paths:
                methods[path] |= {str(method) for method in handler.http_methods}
    return [_options(path, found) for path, found in methods.items() if "OPTIONS" not in found]


def allow(methods: Iterable[str]) -> str:
    """The header Allow of a path with these methods: where there is GET there is HEAD."""
    found = {*methods, "OPTIONS"}
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


def _options(path: str, methods: set[str]) -> HTTPRouteHandler:
    allowed = allow(methods)

    @route(path, http_method="OPTIONS", status_code=204, include_in_schema=False)
    async def options() -> Response[None]:
        return Response(None, headers={"Allow": allowed})

    return options

"""Who may call an operation, for /openapi.json: read off the hooks that its handler runs first."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from litestar import Litestar
from litestar.routes import HTTPRoute

from bookstore.service.tokens.callers import (
    Together,
    identified,
    logged_in,
    ops_logged_in,
    ops_only,
    services_only,
    staff_only,
)

if TYPE_CHECKING:
    from bookstore.service.tokens import Access

_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of the accounts service.",
    },
    "service": {
        "type": "http",
        "scheme": "Service",
        "description": "For services: the secret that they share.",
    },
}
_ADMITS = {
    identified: "bearer",
    logged_in: "bearer",
    staff_only: "bearer",
    ops_only: "bearer",
    ops_logged_in: "bearer",
    services_only: "service",
}
_ALWAYS = (logged_in, ops_logged_in)
"""Those that want a token whatever the settings say."""
_REFUSES = {
    identified: (401,),
    logged_in: (401,),
    staff_only: (401, 403),
    ops_only: (401, 403),
    ops_logged_in: (401, 403),
    services_only: (401, 403),
}


def refusals(app: Litestar) -> dict[tuple[str, str], tuple[int, ...]]:
    """With which statuses callers are refused, by path and method."""
    return {where: _REFUSES[hook] for where, hook in _hooks(app)}


def with_security(document: dict[str, Any], app: Litestar) -> dict[str, Any]:
    """`document` with the scheme of each operation that asks who calls, and whether it must be told."""
    access: Access | None = app.state["access"]
    used: set[str] = set()
    for (path, method), hook in _hooks(app):
        operation = document["paths"].get(path, {}).get(method)
        if operation is None or access is None:
            continue
        scheme = _ADMITS[hook]
        optional = not access.required and hook not in _ALWAYS
        operation["security"] = [{scheme: []}, {}] if optional else [{scheme: []}]
        used.add(scheme)
    if used:
        schemes = {name: told for name, told in _SCHEMES.items() if name in used}
        document.setdefault("components", {})["securitySchemes"] = schemes
    return document


def _hooks(app: Litestar) -> Iterator[tuple[tuple[str, str], Any]]:
    """The hooks that ask who calls, each with its path and method."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            hook = handler.resolve_before_request()
            asking = [
                each for each in (hook.hooks if isinstance(hook, Together) else (hook,)) if each in _ADMITS
            ]
            for each in asking:
                for method in handler.http_methods:
                    yield (route.path_format, str(method).lower()), each

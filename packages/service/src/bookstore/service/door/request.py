"""A request's head, and the same as ASGI has it."""

from typing import Any, NamedTuple

from bookstore.service.door.target import decoded


class Request(NamedTuple):
    """A request, as its head describes it."""

    method: str
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""
    client: Any
    """Address and port."""
    keep_alive: bool
    body: bytes = b""
    """Where it is the express that is asked; an app reads it by itself."""


def scope_of(request: Request, version: str, *, server: Any, extensions: dict[str, Any]) -> dict[str, Any]:
    """It as ASGI has it, with what else is known."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": version,
        "method": request.method,
        "answer_without_body": request.method == "HEAD",
        "scheme": "http",
        "path": decoded(request.path),
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": "",
        "headers": request.headers,
        "client": request.client,
        "server": server,
        "extensions": extensions,
    }

"""Problems: the one shape of every error answer (`application/problem+json`)."""

import http
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException

from bookstore.contracts.problems import MEDIA_TYPE, NAMESPACE, FieldError, ProblemDetails, reference
from bookstore.service.context import current, recording
from bookstore.service.options import allow

if TYPE_CHECKING:
    from litestar.types import Scope, Send

Asked: TypeAlias = Request[Any, Any, State]

logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode

RETRY_AFTER = 1
"""Seconds after which a refused caller may try again, where nothing better is known."""


# Python names the first two by an older RFC up to 3.12, and an answer must not depend on that.
# The third is in no RFC, but known: nobody is there to read it, so it stands in metrics and logs alone.
_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content", 499: "Client Closed Request"}


def phrase(status: int) -> str:
    """What RFC 9110 calls a status."""
    return _PHRASES.get(status) or http.HTTPStatus(status).phrase


class Problem(Exception):
    """An error that its caller is told of: raise it anywhere below a handler."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = list(errors)
        if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER))

    def body(self, path: str) -> bytes:
        """The answer's body, for the request that is being served at `path`."""
        context = current.get()
        return _encode(
            ProblemDetails(
                type=NAMESPACE + self.slug,
                title=phrase(self.status),
                status=self.status,
                detail=self.detail,
                instance=reference(path),
                request_id=context.request_id if context else "",
                trace_id=context.trace_id if context else "",
                errors=self.errors,
            )
        )


def not_found(what: str, identity: int) -> Problem:
    """404 for a record that isn't there, or is none of the caller's business."""
    return Problem(404, "not-found", f"{what} {identity} not found")


def invalid(path: str, detail: str, errors: Sequence[FieldError] = ()) -> Problem:
    """A request that can't be used: 422 under /v2, 400 everywhere else."""
    return Problem(422 if path.startswith("/v2/") else 400, "validation", detail, errors=errors)


def invalid_field(path: str, field: str, message: str) -> Problem:
    """The same, for one field that can't be used."""
    return invalid(path, f"{field}: {message}", [FieldError(field=field, message=message)])


async def send_problem(scope: "Scope", send: "Send", problem: Problem) -> None:
    """Answer a plain ASGI request with a problem."""
    body = problem.body(scope["path"])
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def respond(request: Asked, problem: Problem) -> Response[bytes]:
    """The answer that tells a problem."""
    return Response(
        problem.body(request.url.path),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


def _on_problem(request: Asked, error: Problem) -> Response[bytes]:
    return respond(request, error)


def _on_validation(request: Asked, error: ValidationException) -> Response[bytes]:
    found = cast("list[dict[str, Any]]", error.extra if isinstance(error.extra, list) else [])
    errors = [_field_error(str(item.get("key", "")), str(item.get("message", ""))) for item in found]
    detail = "; ".join(f"{each.field}: {each.message}" for each in errors) or str(error.detail)
    return respond(request, invalid(request.url.path, detail, errors))


def _field_error(key: str, message: str) -> FieldError:
    # Litestar calls the body "data", and says of a missing argument only its name.
    return FieldError(
        field="body" if key in {"", "data"} else key, message="missing" if message == f"'{key}'" else message
    )


def _on_http(request: Asked, error: HTTPException) -> Response[bytes]:
    title = phrase(error.status_code)
    slug = title.lower().replace(" ", "-")
    detail = {
        404: f"nothing answers at {request.url.path}",
        405: f"{request.method} is not possible here",
        413: "the body is longer than this service takes",
    }.get(error.status_code, title)
    headers = dict(error.headers or {})
    if methods := headers.pop("allow", ""):
        headers["Allow"] = allow(methods.split(", "))
    return respond(request, Problem(error.status_code, slug, detail, headers=headers))


def _on_anything(request: Asked, error: Exception) -> Response[bytes]:
    logger.error("unhandled error", exc_info=error, extra={"path": request.url.path})
    if span := recording():
        span.event("exception", {"exception.type": type(error).__qualname__})
    return respond(
        request, Problem(500, "internal", "something went wrong here; the request id finds it in the logs")
    )


handlers: dict[int | type[Exception], Callable[[Asked, Any], Response[bytes]]] = {
    Problem: _on_problem,
    ValidationException: _on_validation,
    HTTPException: _on_http,
    Exception: _on_anything,
}
"""What is answered to each kind of error. Who brings further kinds along, such as a database, adds them."""


def answer_to(request: Asked, error: Exception) -> Response[bytes]:
    """What is answered where the router isn't asked: as it does, by the nearest kind of error."""
    return next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)(request, error)

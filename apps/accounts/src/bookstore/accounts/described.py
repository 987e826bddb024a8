"""What the OpenAPI document can't know by itself: the problems of a route, and the login's two bodies."""

import http
from dataclasses import dataclass

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from bookstore.contracts.problems import MEDIA_TYPE, ProblemDetails

_TEXT = Schema(type=OpenAPIType.STRING, max_length=1024)


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """These problems, for a handler's `responses`."""
    return {
        status: ResponseSpec(
            ProblemDetails,
            description=http.HTTPStatus(status).phrase,
            media_type=MEDIA_TYPE,  # pyright: ignore[reportArgumentType] - it takes any text
            generate_examples=False,
        )
        for status in statuses
    }


def _body(first: str) -> OpenAPIMediaType:
    return OpenAPIMediaType(
        schema=Schema(
            type=OpenAPIType.OBJECT,
            required=[first, "password"],
            properties={first: _TEXT, "password": _TEXT},
            additional_properties=False,
        )
    )


@dataclass
class LoginOperation(Operation):
    """The login, which reads its body itself."""

    def __post_init__(self) -> None:
        """Tell of both bodies."""
        self.request_body = RequestBody(
            content={
                "application/json": _body("email"),
                "application/x-www-form-urlencoded": _body("username"),
            },
            required=True,
        )

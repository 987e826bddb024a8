"""What the OpenAPI document can't know by itself: the login's two bodies."""

from dataclasses import dataclass

from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

_TEXT = Schema(type=OpenAPIType.STRING, max_length=1024)


def _body(first: str) -> OpenAPIMediaType:
    return OpenAPIMediaType(
        schema=Schema(
            type=OpenAPIType.OBJECT,
            required=[first, "password"],
            properties={first: _TEXT, "password": _TEXT, "scope": _TEXT},
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

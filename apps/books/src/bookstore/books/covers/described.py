"""What the OpenAPI document can't know by itself: bodies that are pictures."""

from dataclasses import dataclass
from typing import get_args

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody

from bookstore.contracts.books import CoverType


@dataclass
class CoverUpload(Operation):
    """An operation that takes a picture, and reads its body itself."""

    def __post_init__(self) -> None:
        """Tell of the body."""
        content = {each: OpenAPIMediaType() for each in get_args(CoverType)}
        self.request_body = RequestBody(content=content, required=True)


def picture() -> dict[int, ResponseSpec]:
    """For a handler's `responses`: a picture, or that it is the one which the caller has."""
    return {
        200: ResponseSpec(bytes, media_type="image/*", description="The picture.", generate_examples=False),
        304: ResponseSpec(None, description="The caller has it already."),
    }

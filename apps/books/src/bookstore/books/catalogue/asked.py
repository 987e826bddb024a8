"""The parameters of a search: how a request gives them, and how the OpenAPI document tells of them."""

from dataclasses import dataclass

from litestar.openapi.spec import Operation, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType

from bookstore.books.catalogue.search import BadSearch, Search, search_of
from bookstore.service.problem import Asked, invalid_field


def searched(request: Asked) -> Search:
    """The search that a request asks for.

    Raises:
        Problem: for a value that can't be meant, by its name.
    """
    try:
        return search_of(request.query_params.dict())
    except BadSearch as error:
        raise invalid_field(request.scope["path"], error.field, error.message) from None


def _parameter(name: str, description: str, schema: Schema) -> Parameter:
    return Parameter(name=name, param_in="query", description=description, schema=schema, required=False)


def _words(example: str) -> Schema:
    return Schema(type=OpenAPIType.STRING, max_length=500, examples=[example])


def _price(example: str) -> Schema:
    return Schema(type=OpenAPIType.STRING, pattern=r"^[0-9]{1,8}(\.[0-9]{1,2})?$", examples=[example])


_PARAMETERS = [
    _parameter("q", "Stands in the title or the author, in any case.", _words("emma")),
    _parameter("author", "Stands in the author, in any case.", _words("austen")),
    _parameter("min_price", "The lowest price.", _price("5")),
    _parameter("max_price", "The highest price.", _price("12.50")),
    _parameter(
        "in_stock", "Whether there is a copy to sell.", Schema(type=OpenAPIType.BOOLEAN, examples=[True])
    ),
]


@dataclass
class Searching(Operation):
    """An operation that takes a search, and reads its parameters itself."""

    def __post_init__(self) -> None:
        """Tell of them."""
        self.parameters = [*_PARAMETERS, *(self.parameters or [])]

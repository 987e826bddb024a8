"""The parameters of a search, as they come and as they are described."""

from typing import Annotated

from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import QueryParameter

from bookstore.books.catalogue.search import BadSearch, Search, search_of
from bookstore.contracts.problems import FieldError
from bookstore.service.problem import Asked, invalid

_PRICE = {"type": [OpenAPIType.NUMBER, OpenAPIType.STRING], "minimum": 0, "examples": ["9.99"]}
_YES_OR_NO = {"type": OpenAPIType.BOOLEAN}

Words = Annotated[str | None, QueryParameter(description="Stands in the title or the author, in any case.")]
Author = Annotated[str | None, QueryParameter(description="Stands in the author, in any case.")]
Least = Annotated[str | None, QueryParameter(description="The lowest price.", schema_extra=_PRICE)]
Most = Annotated[str | None, QueryParameter(description="The highest price.", schema_extra=_PRICE)]
InStock = Annotated[
    str | None, QueryParameter(description="Whether there is a copy to sell.", schema_extra=_YES_OR_NO)
]


async def searched(
    *,
    request: Asked,
    q: Words = None,
    author: Author = None,
    min_price: Least = None,
    max_price: Most = None,
    in_stock: InStock = None,
) -> Search:
    """The search that a request asks for. Its parameters are named for the description only.

    Raises:
        Problem: for a value that can't be meant, by its name.
    """
    del q, author, min_price, max_price, in_stock
    try:
        return search_of(request.query_params.dict())
    except BadSearch as error:
        errors = [FieldError(field=error.field, message=error.message)]
        raise invalid(request.scope["path"], str(error), errors) from None

"""How a handler asks for an object that its app holds: `async def read(books: Given[BookStore])`."""

from typing import Any, TypeAlias, TypeVar

from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

T = TypeVar("T")

Given: TypeAlias = NamedDependency[SkipValidation[T]]
"""The object that the app provides under the parameter's name."""


def constant(value: Any) -> Provide:
    """Provide one object to every request."""

    async def provide() -> Any:
        return value

    return Provide(provide)

"""Identities in paths: `/v1/books/{book_id}` names book 7 as `7`, and in no other way.

Python's and msgspec's own readers take `1_0`, `+7`, `7.0` or full-width digits as numbers too. Two addresses
for one record would be one too many for caches, limits and rules of access, so those lead nowhere: 404.
"""

import re
from typing import Annotated, TypeAlias

from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import PathParameter

from bookstore.service.problem import Problem

_HIGHEST = 2**63 - 1
_PLAIN = re.compile(r"[1-9][0-9]{0,18}")

PathId: TypeAlias = Annotated[
    str,
    PathParameter(
        schema_extra={"type": OpenAPIType.INTEGER, "minimum": 1, "maximum": _HIGHEST, "examples": [1]}
    ),
]
"""An identity as it stands in the path, declared `{book_id:str}`; `identity` reads it."""


def identity(what: str, text: str) -> int:
    """The identity that `text` is.

    Raises:
        Problem: 404 if it can't be one.
    """
    if _PLAIN.fullmatch(text) and (number := int(text)) <= _HIGHEST:
        return number
    raise Problem(404, "not-found", f"there is no such {what}")

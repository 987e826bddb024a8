"""Pages of a list: what a caller may ask for, and the headers that lead to the next page."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlencode

from litestar.params import QueryParameter

from bookstore.service.problem import Asked, invalid_field

Limit = Annotated[int, QueryParameter(ge=1, le=100)]
Offset = Annotated[int, QueryParameter(ge=0, le=2**31 - 1)]

_PLAIN = re.compile(r"-?[0-9]+")


async def plainly_asked(request: Asked) -> None:
    """For a list's `before_request`: `limit` and `offset` are whole numbers, each given once.

    Converting alone would take `1e1` and `7.0` as well, and quietly the last of `limit=1&limit=2`.
    """
    given = Counter(name for name, _ in request.query_params.multi_items())
    for name in ("limit", "offset"):
        if not given[name]:
            continue
        message = ""
        if given[name] > 1:
            message = "given more than once"
        elif not _PLAIN.fullmatch(str(request.query_params[name])):
            message = "must be a whole number"
        if message:
            raise invalid_field(request.scope["path"], name, message)


def page_headers(
    path: str, query: Iterable[tuple[str, str]], *, total: int, limit: int, offset: int
) -> dict[str, str]:
    """`X-Total-Count`, and `Link` to the next and the previous page: relative, and keeping the search."""
    kept = [(name, value) for name, value in query if name not in ("limit", "offset")]

    def link(rel: str, start: int) -> str:
        return f'<{path}?{urlencode([*kept, ("limit", limit), ("offset", start)])}>; rel="{rel}"'

    links = [link("next", offset + limit)] if offset + limit < total else []
    if offset > 0:
        links.append(link("prev", max(0, offset - limit)))
    headers = {"X-Total-Count": str(total)}
    if links:
        headers["Link"] = ", ".join(links)
    return headers

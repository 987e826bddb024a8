"""Pages of a list: what a caller may ask for, and the headers that lead to the next page."""

from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlencode

from litestar.params import QueryParameter

Limit = Annotated[int, QueryParameter(ge=1, le=100)]
Offset = Annotated[int, QueryParameter(ge=0, le=2**31 - 1)]


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

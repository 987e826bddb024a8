"""Links lead to the neighbouring pages and keep the search."""

import pytest

from bookstore.service.pages import page_headers


@pytest.mark.parametrize(
    ("total", "limit", "offset", "link"),
    [
        (0, 20, 0, None),
        (20, 20, 0, None),
        (21, 20, 0, '</v2/books?limit=20&offset=20>; rel="next"'),
        (60, 20, 20, '</v2/books?limit=20&offset=40>; rel="next", </v2/books?limit=20&offset=0>; rel="prev"'),
        (60, 20, 40, '</v2/books?limit=20&offset=20>; rel="prev"'),
        (60, 20, 10, '</v2/books?limit=20&offset=30>; rel="next", </v2/books?limit=20&offset=0>; rel="prev"'),
        (5, 20, 100, '</v2/books?limit=20&offset=80>; rel="prev"'),
    ],
)
def test_neighbours(total, limit, offset, link):
    headers = page_headers("/v2/books", [], total=total, limit=limit, offset=offset)
    assert headers["X-Total-Count"] == str(total)
    assert headers.get("Link") == link


def test_the_search_is_kept_and_encoded():
    query = [("q", "a&b=ü"), ("limit", "1"), ("offset", "7")]
    headers = page_headers("/v2/books", query, total=2, limit=1, offset=0)
    assert headers["Link"] == '</v2/books?q=a%26b%3D%C3%BC&limit=1&offset=1>; rel="next"'

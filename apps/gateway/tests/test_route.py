import pytest

from bookstore.gateway.route import TABLE, Route, Routes


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        (b"/v1/books", "books"),
        (b"/v1/books/", "books"),
        (b"/v1/books/1", "books"),
        (b"/v2/books/1/cover", "books"),
        (b"/v2/cache", "books"),
        (b"/v1/orders", "orders"),
        (b"/v2/orders/1/history", "orders"),
        (b"/v1/bookshelf", None),
        (b"/v1/books.json", None),
        (b"/v1", None),
        (b"/v1/cache", None),
        (b"/V1/books", None),
        (b"/v3/books", None),
        (b"/x/v1/books", None),
        (b"/metrics", None),
        (b"/", None),
    ],
)
def test_the_table(path, upstream):
    route = Routes(TABLE).match(path)
    assert (route.upstream if route else None) == upstream


def test_the_longest_prefix_wins_whatever_the_order():
    for table in (
        (Route("/a", "short"), Route("/a/b", "long")),
        (Route("/a/b", "long"), Route("/a", "short")),
    ):
        routes = Routes(table)
        found = [routes.match(path) for path in (b"/a", b"/a/b", b"/a/b/c", b"/a/bc")]
        assert [route.upstream for route in found if route] == ["short", "long", "long", "short"]

"""Which route a request takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookstore.gateway.config.model import Route
from bookstore.gateway.route import NotAllowed, Routes


def table(*routes):
    """Routes from `(id, prefix)` with more in a dict; each leads to its own id."""
    rules = [Route(id=name, prefix=prefix, upstream="x", **more) for name, prefix, more in routes]
    return Routes((rule, rule.id) for rule in rules)


TABLE = table(
    ("root", "/", {"host": "root.example"}),
    ("v1", "/v1", {}),
    ("books", "/v1/books", {"methods": ("GET",)}),
    ("change", "/v1/books", {"methods": ("POST", "DELETE")}),
    ("shop", "/v1/books", {"host": "Shop.Example"}),
    ("cache", "/v1/books/cache", {"methods": ("GET",)}),
    ("catalog", "/catalog", {}),
)


@pytest.mark.parametrize(
    ("method", "path", "host", "found"),
    [
        ("GET", "/v1", "", "v1"),
        ("GET", "/v1/", "", "v1"),
        ("GET", "/v1/booksx", "", "v1"),
        ("GET", "/v1/books", "", "books"),
        ("HEAD", "/v1/books/1", "", "books"),
        ("POST", "/v1/books", "", "change"),
        ("PUT", "/v1/books", "shop.example", "shop"),
        ("GET", "/v1/books/1", "shop.example", "shop"),
        ("GET", "/v1/books/cache", "shop.example", "cache"),
        ("GET", "/catalogue", "", None),
        ("GET", "/catalog", "", "catalog"),
        ("GET", "/", "", None),
        ("GET", "/x", "root.example", "root"),
        ("GET", "/", "root.example", "root"),
        ("GET", "/V1/books", "", None),
    ],
)
def test_the_longest_prefix_wins(method, path, host, found):
    assert TABLE.match(method, path.encode(), host.encode()) == found


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/books/1", ("DELETE", "GET", "HEAD", "OPTIONS", "POST")),
        # Not the shorter prefix, which would let it through past what guards the longer one.
        ("DELETE", "/v1/books/cache", ("GET", "HEAD", "OPTIONS")),
        ("OPTIONS", "/v1/books", ("DELETE", "GET", "HEAD", "OPTIONS", "POST")),
    ],
)
def test_a_method_that_the_winner_does_not_know_finds_nothing_elsewhere(method, path, allow):
    with pytest.raises(NotAllowed) as error:
        TABLE.match(method, path.encode())
    assert error.value.allow == allow


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4), st.data())
def test_it_is_as_if_all_were_looked_at(segments, data):
    prefixes = data.draw(
        st.lists(
            st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(lambda parts: "/" + "/".join(parts)),
            unique=True,
            max_size=6,
        )
    )
    path = "/" + "/".join(segments)
    fitting = [each for each in prefixes if each in ("/", path) or path.startswith(each + "/")]
    routes = table(*((f"r{at}", prefix, {}) for at, prefix in enumerate(prefixes)))
    found = routes.match("GET", path.encode())
    assert found == (f"r{prefixes.index(max(fitting, key=len))}" if fitting else None)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookstore.gateway.path import BadPath, inward, normalised, outward


@pytest.mark.parametrize(
    ("path", "spelled"),
    [
        (b"/", b"/"),
        (b"/v1/books", b"/v1/books"),
        (b"/v1/books/", b"/v1/books/"),
        (b"/v1/books/1", b"/v1/books/1"),
        (b"/%76%31/books", b"/v1/books"),
        (b"/a%7eb%2db", b"/a~b-b"),
        (b"/a%20b%c3%a9", b"/a%20b%C3%A9"),
        (b"/caf\xc3\xa9", b"/caf%C3%A9"),
        (b"/a|b{c}^`", b"/a%7Cb%7Bc%7D%5E%60"),
        (b"/%2525", b"/%2525"),
        (b"/%252e%252e/x", b"/%252e%252e/x"),
        (b"/...", b"/..."),
        (b"/a..b/.c/d.", b"/a..b/.c/d."),
        (b"/a;b=1,c:d@e!$&'()*+", b"/a;b=1,c:d@e!$&'()*+"),
        (b"/a%3Fb%23c", b"/a%3Fb%23c"),
    ],
)
def test_one_spelling(path, spelled):
    assert normalised(path) == spelled
    assert normalised(spelled) == spelled


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"*",
        b"v1/books",
        b"http://evil/",
        b"//",
        b"//v1/books",
        b"/v1//books",
        b"/v1/books//",
        b"/.",
        b"/..",
        b"/./v1",
        b"/v1/../metrics",
        b"/v1/books/..",
        b"/v1/%2e%2e/metrics",
        b"/v1/%2E./metrics",
        b"/v1/.%2e/metrics",
        b"/v1/%2e/books",
        b"/v1%2fbooks",
        b"/v1/books%2F..%2f..%2Fmetrics",
        b"/v1%5cbooks",
        b"/v1\\books",
        b"/v1/..\\metrics",
        b"/v1/books%00",
        b"/v1/books%0d%0a",
        b"/v1/books\x00",
        b"/v1/books\x7f",
        b"/v1/books%7F",
        b"/v1/books%",
        b"/v1/books%4",
        b"/v1/books%zz",
        b"/v1/books%u0041",
        b"/%C0%AE%C0%AE/metrics",
        b"/%ff",
        b"/\xff",
    ],
)
def test_refused(path):
    with pytest.raises(BadPath):
        normalised(path)


@given(st.binary(max_size=40).map(lambda rest: b"/" + rest))
def test_any_bytes_are_refused_or_get_one_safe_spelling(path):
    try:
        spelled = normalised(path)
    except BadPath:
        return
    assert normalised(spelled) == spelled
    assert spelled.isascii()
    assert b"\\" not in spelled
    assert b"//" not in spelled
    assert not {b".", b".."} & set(spelled.split(b"/"))


@pytest.mark.parametrize(
    ("path", "prefix", "mode", "inside"),
    [
        ("/catalog", "/catalog", "strip", "/"),
        ("/catalog/", "/catalog", "strip", "/"),
        ("/catalog/catalog/1", "/catalog", "strip", "/catalog/1"),
        ("/inventory/health", "/inventory", "keep", "/inventory/health"),
        ("/products", "/products", "/v2/books", "/v2/books"),
        ("/products/", "/products", "/v2/books", "/v2/books/"),
        ("/products/1", "/products", "/v2/books", "/v2/books/1"),
        ("/a/b", "/a", "/", "/b"),
        ("/a", "/a", "/", "/"),
        ("/a/b", "/", "strip", "/a/b"),
        ("/a/b", "/", "/x", "/x/a/b"),
    ],
)
def test_the_way_in_and_out(path, prefix, mode, inside):
    assert inward(path.encode(), prefix.encode(), mode) == inside.encode()
    back = outward(inside.encode(), prefix.encode(), mode)
    assert inward(back, prefix.encode(), mode) in (inside.encode(), b"/x" + inside.encode())


@pytest.mark.parametrize(
    ("location", "mode", "seen"),
    [
        ("/v2/books/7?a=/v2/books", "/v2/books", "/products/7?a=/v2/books"),
        ("/v2/booksellers", "/v2/books", "/v2/booksellers"),
        ("/elsewhere", "/v2/books", "/elsewhere"),
        ("/v2/books/7", "strip", "/products/v2/books/7"),
        ("/products/7", "keep", "/products/7"),
    ],
)
def test_a_place_that_the_service_names(location, mode, seen):
    assert outward(location.encode(), b"/products", mode) == seen.encode()

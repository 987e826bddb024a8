"""What POST and PUT take and refuse, in both versions: one table of bodies, tried wherever it applies."""

import json

import pytest

JSON = {"Content-Type": "application/json"}
GOOD = {"title": "Emma", "author": "Jane Austen", "price": "9.49"}


def body(**fields):
    return json.dumps({**GOOD, **fields}).encode()


def raw(fields):
    """A body whose JSON is written by hand."""
    return b'{"title": "Emma", "author": "Jane Austen", %b}' % fields.encode()


# What each is called, the body, and what the answer's detail says of it.
BAD = [
    ("empty", b"", "missing"),
    ("blank", b"  ", "not valid JSON"),
    ("cut short", b'{"title": "Emma", "author"', "not valid JSON"),
    ("trailing garbage", body() + b"}", "not valid JSON"),
    ("two objects", body() + body(), "not valid JSON"),
    ("single quotes", b"{'title': 'Emma'}", "not valid JSON"),
    ("comment", b'{"price": 1 /* cheap */}', "not valid JSON"),
    ("byte order mark", b"\xef\xbb\xbf" + body(), "not valid JSON"),
    ("UTF-16", body().decode().encode("utf-16"), "not valid JSON"),
    ("array", b"[]", "Expected `object`"),
    ("string", b'"Emma"', "Expected `object`"),
    ("number", b"1", "Expected `object`"),
    ("null", b"null", "Expected `object`"),
    ("duplicate key", raw('"price": 1, "price": 2'), "'price' twice"),
    ("duplicate key, escaped", raw('"price": 1, "pr\\u0069ce": 1'), "'price' twice"),
    ("unknown field", body(isbn="1"), "unknown field `isbn`"),
    ("field in another case", raw('"price": 1, "Title": "x"'), "unknown field `Title`"),
    ("an id of one's own", body(id=7), "unknown field `id`"),
    ("active", body(active=False), "unknown field `active`"),
    ("title: number", body(title=1984), "title: must be text"),
    ("title: array", body(title=["Emma"]), "title: must be text"),
    ("title: object", body(title={}), "title: must be text"),
    ("title: true", body(title=True), "title: must be text"),
    ("title: empty", body(title=""), "title: must not be empty"),
    ("title: blank", body(title=" \t\n\u3000"), "title: must not be empty"),
    ("title: invisible", body(title="\u200b\ufeff"), "title: must not be empty"),
    ("title: too long", body(title="a" * 501), "title: must have at most 500 characters"),
    ("title: NUL", body(title="Em\0ma"), "NUL"),
    ("title: raw control character", b'{"title": "Em\nma", "author": "a", "price": 1}', "not valid JSON"),
    ("title: raw NUL", b'{"title": "Em\0ma", "author": "a", "price": 1}', "not valid JSON"),
    ("title: lone high surrogate", b'{"title": "\\ud83d", "author": "a", "price": 1}', "not valid JSON"),
    ("title: lone low surrogate", b'{"title": "\\ude80", "author": "a", "price": 1}', "not valid JSON"),
    ("title: surrogate as UTF-8", b'{"title": "\xed\xa0\x80", "author": "a", "price": 1}', "not valid JSON"),
    ("title: Latin-1", '{"title": "É", "author": "a", "price": 1}'.encode("latin-1"), "not valid JSON"),
    ("title: overlong UTF-8", b'{"title": "\xc0\xaf", "author": "a", "price": 1}', "not valid JSON"),
    ("title: bad escape", b'{"title": "\\x41", "author": "a", "price": 1}', "not valid JSON"),
    ("author: empty", body(author=" "), "author: must not be empty"),
    ("author: too long", body(author="ü" * 501), "author: must have at most 500 characters"),
    ("price: word", body(price="cheap"), "price: must be written"),
    ("price: empty", body(price=""), "price: must be written"),
    ("price: underscore", body(price="1_000"), "price: must be written"),
    ("price: blanks", body(price=" 12 "), "price: must be written"),
    ("price: exponent", body(price="1e2"), "price: must be written"),
    ("price: plus", body(price="+5"), "price: must be written"),
    ("price: full width", body(price="\uff11\uff12"), "price: must be written"),
    ("price: comma", body(price="9,49"), "price: must be written"),
    ("price: NaN as text", body(price="NaN"), "price: must be written"),
    ("price: Infinity as text", body(price="Infinity"), "price: must be written"),
    ("price: NaN", raw('"price": NaN'), "not valid JSON"),
    ("price: Infinity", raw('"price": Infinity'), "not valid JSON"),
    ("price: hexadecimal", raw('"price": 0x10'), "not valid JSON"),
    ("price: leading zero", raw('"price": 09.49'), "not valid JSON"),
    ("price: bare point", raw('"price": .5'), "not valid JSON"),
    ("price: true", body(price=True), "price: must be a number"),
    ("price: array", body(price=["1"]), "price: must be a number"),
    ("price: negative", body(price="-0.01"), "price: must be from 0 to 99999999.99"),
    ("price: negative number", raw('"price": -1'), "price: must be from 0 to"),
    ("price: too high", body(price="100000000"), "price: must be from 0 to"),
    ("price: just too high", raw('"price": 99999999.991'), "price: must be from 0 to"),
    ("price: huge", raw('"price": 1e400'), "price: must be from 0 to"),
    ("price: huge exponent", raw('"price": 1e99999999999999999999'), "price: must be from 0 to"),
    ("price: 300 digits", raw(f'"price": {"9" * 300}'), "price: must be from 0 to"),
    ("price: three decimals", body(price="9.499"), "price: must have at most 2 decimals"),
    ("price: three decimals, number", raw('"price": 9.499'), "price: must have at most 2 decimals"),
    ("price: decimals that a float forgets", raw('"price": 9.4900000000000000000001'), "at most 2 decimals"),
    ("depth over 32", b"[" * 33 + b"]" * 33, "deeper than 32"),
    ("depth over 32 within", raw('"price": ' + "[" * 32 + "]" * 32), "deeper than 32"),
    ("depth of thousands", b'{"a":' * 5000 + b"1" + b"}" * 5000, "deeper than 32"),
]  # fmt: skip
BAD_ONLY_IN_POST = [
    ("title: missing", b'{"author": "a", "price": 1}', "missing required field `title`"),
    ("author: missing", b'{"title": "a", "price": 1}', "missing required field `author`"),
    ("price: missing", b'{"title": "a", "author": "b"}', "missing required field `price`"),
    ("title: null", body(title=None), "title"),
    ("author: null", body(author=None), "author"),
    ("price: null", body(price=None), "price"),
]
BAD_ONLY_IN_PUT = [
    ("no change", b"{}", "at least one field"),
    ("nothing but nulls", b'{"title": null, "author": null, "price": null}', "at least one field"),
    ("stock alone", b'{"stock": 5}', "unknown field `stock`"),
]
BAD_ONLY_IN_V1 = [
    ("description", body(description="Matchmaking."), "unknown field `description`"),
    ("stock", body(stock=5), "unknown field `stock`"),
]
BAD_ONLY_IN_V2 = [
    ("description: number", body(description=1), "description: must be text"),
    ("description: too long", body(description="a" * 10_001), "description: must have at most 10000"),
    ("description: NUL", body(description="\0"), "NUL"),
]
BAD_ONLY_IN_V2_POST = [
    ("stock: negative", body(stock=-1), "stock"),
    ("stock: part of a copy", body(stock=1.5), "stock"),
    ("stock: text", body(stock="5"), "stock"),
    ("stock: true", body(stock=True), "stock"),
    ("stock: too many", body(stock=10**10), "stock"),
    ("stock: beyond 64 bits", body(stock=10**30), "stock"),
]


def _cases():
    found = []
    for version, only in (("v1", BAD_ONLY_IN_V1), ("v2", BAD_ONLY_IN_V2)):
        post_only = BAD_ONLY_IN_POST + (BAD_ONLY_IN_V2_POST if version == "v2" else [])
        for method, more in (("POST", post_only), ("PUT", BAD_ONLY_IN_PUT)):
            for name, content, says in [*BAD, *only, *more]:
                found.append(pytest.param(method, version, content, says, id=f"{method} {version} {name}"))
    return found


@pytest.fixture(scope="session")
def emma(shared):
    """A book that every refused change should leave as it is; the only one of these tests."""
    return shared.post("/v2/books", json=GOOD).json()


@pytest.mark.parametrize(("method", "version", "content", "says"), _cases())
def test_a_bad_body_is_refused_with_its_reason_and_changes_nothing(  # noqa: PLR0917
    shared, emma, check_problem, method, version, content, says
):
    total = shared.get("/v2/books?limit=1").json()["total"]
    path = f"/{version}/books" + (f"/{emma['id']}" if method == "PUT" else "")
    answer = shared.request(method, path, content=content, headers=JSON)
    problem = check_problem(answer, 422 if version == "v2" else 400, "validation")
    assert says in problem["detail"]
    if ": " in says:
        assert problem["errors"] == [
            {"field": says.partition(":")[0], "message": problem["detail"].partition(": ")[2]}
        ]
    page = shared.get("/v2/books?limit=1").json()
    assert page["total"] == total
    assert shared.get(f"/v2/books/{emma['id']}").json()["updated_at"] == emma["updated_at"]


FOLDED = [
    ("Emma", "Emma"),
    ("  Emma  ", "Emma"),
    ("The\tMill\n\non the\u00a0\u2003Floss\u3000", "The Mill on the Floss"),
    ("a" * 500, "a" * 500),
    (" " * 600 + "a" * 498 + "   b", "a" * 498 + " b"),
    ("a" + " " * 600 + "b", "a b"),
    ("ü" * 500, "ü" * 500),
    ("\U0001f680" * 500, "\U0001f680" * 500),
    ("Robert'); DROP TABLE books;--", "Robert'); DROP TABLE books;--"),
    ('<img src=x onerror="alert(1)">&amp;', '<img src=x onerror="alert(1)">&amp;'),
    ("%s %(title)s {} {0} $1 \\", "%s %(title)s {} {0} $1 \\"),
    ("\\u0000", "\\u0000"),
    ("Война и мир", "Война и мир"),
    ("戦争と平和 \U0001f469\u200d\U0001f680", "戦争と平和 \U0001f469\u200d\U0001f680"),
    ("[" * 100 + "{" * 100, "[" * 100 + "{" * 100),
]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(("given", "kept"), FOLDED, ids=range(len(FOLDED)))
def test_text_is_trimmed_and_folded_and_else_as_it_came(shared, version, given, kept):
    path = f"/{version}/books"
    made = shared.post(path, json={"title": given, "author": given, "price": 1})
    assert made.status_code == 201, made.text
    book = shared.get(made.headers["location"]).json()
    assert (book["title"], book["author"]) == (kept, kept)
    changed = shared.put(made.headers["location"], json={"author": f" {given} "}).json()
    assert changed["author"] == kept


def test_a_description_is_optional_long_folded_and_can_be_taken_away(shared, add):
    assert add()["description"] is None
    assert add(description=None)["description"] is None
    assert add(description=" ")["description"] is None
    assert add(description="a\n\n b ")["description"] == "a b"
    book = add(description="ü" * 10_000)
    path = f"/v2/books/{book['id']}"
    assert shared.get(path).json()["description"] == "ü" * 10_000
    assert shared.put(path, json={"price": 1, "description": None}).json()["description"] == "ü" * 10_000
    assert shared.put(path, json={"description": "short"}).json()["description"] == "short"
    assert shared.put(path, json={"description": ""}).json()["description"] is None


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('"0"', "0.00"),
        ("0", "0.00"),
        ("-0", "0.00"),
        ('"-0.00"', "0.00"),
        ('"0.01"', "0.01"),
        ("18.9", "18.90"),
        ('"18.9"', "18.90"),
        ("19.99", "19.99"),
        ("12.500", "12.50"),
        ("1e2", "100.00"),
        ("99999999.99", "99999999.99"),
        ('"99999999.99"', "99999999.99"),
    ],
)
def test_a_price_is_exact_and_answered_with_two_decimals(shared, version, given, kept):
    made = shared.post(f"/{version}/books", content=raw(f'"price": {given}'), headers=JSON)
    assert made.status_code == 201, made.text
    assert made.json()["price"] == kept
    assert shared.get(made.headers["location"]).json()["price"] == kept
    changed = shared.put(made.headers["location"], content=f'{{"price": {given}}}', headers=JSON)
    assert changed.json()["price"] == kept


@pytest.mark.parametrize(
    ("given", "kept"), [({}, 100), ({"stock": None}, 100), ({"stock": 0}, 0), ({"stock": 7}, 7)]
)
def test_stock_starts_as_told_or_with_the_default(add, given, kept):
    assert add(**given)["stock"] == kept


def test_depth_32_is_not_too_deep_but_still_no_book(shared, check_problem):
    answer = shared.post("/v1/books", content=b"[" * 32 + b"]" * 32, headers=JSON)
    assert "Expected `object`" in check_problem(answer, 400)["detail"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json-patch+json",
        "application/jsonx",
        "application/octet-stream",
    ],
)
def test_another_content_type_is_415(shared, emma, check_problem, method, content_type):
    path = "/v2/books" if method == "POST" else f"/v2/books/{emma['id']}"
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = shared.request(method, path, content=body(), headers=headers)
    check_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;"]
)
def test_json_may_be_named_freely(shared, content_type):
    assert shared.post("/v1/books", content=body(), headers={"Content-Type": content_type}).status_code == 201


LIMIT = 1_048_576


def _sized(size):
    start, end = b'{"author": "a", "price": 1, "title": "', b'"}'
    return start + b"a" + b" " * (size - len(start) - len(end) - 1) + end


def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_413(shared, check_problem):
    assert shared.post("/v1/books", content=_sized(LIMIT), headers=JSON).status_code == 201
    check_problem(shared.post("/v1/books", content=_sized(LIMIT + 1), headers=JSON), 413)
    check_problem(shared.post("/v2/books", content=_sized(5 * LIMIT), headers=JSON), 413)


def test_a_body_of_unknown_length_is_measured_as_it_comes(shared, check_problem):
    def pieces(size):
        sized = _sized(size)
        for start in range(0, size, 65_536):
            yield sized[start : start + 65_536]

    assert shared.post("/v1/books", content=pieces(LIMIT), headers=JSON).status_code == 201
    check_problem(shared.post("/v1/books", content=pieces(LIMIT + 1), headers=JSON), 413)

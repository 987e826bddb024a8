"""What an order must not be, in both versions, and where nothing answers; nothing of it is left behind."""

import json
import re

import pytest

JSON = {"Content-Type": "application/json"}
MOST = 2**63 - 1


def v1(line):
    return json.dumps(line).encode()


def v2(line):
    return json.dumps({"items": [line]}).encode()


# A line, and the field that is refused: in /v1 the whole body, in /v2 one of the items.
BAD_LINES = [
    ({}, "book_id"),
    ({"book_id": 1}, "quantity"),
    ({"quantity": 1}, "book_id"),
    ({"book_id": None, "quantity": 1}, "book_id"),
    ({"book_id": 1, "quantity": None}, "quantity"),
    ({"book_id": 0, "quantity": 1}, "book_id"),
    ({"book_id": -1, "quantity": 2}, "book_id"),
    ({"book_id": "1", "quantity": 1}, "book_id"),
    ({"book_id": 1.0, "quantity": 1}, "book_id"),
    ({"book_id": 1.5, "quantity": 1}, "book_id"),
    ({"book_id": True, "quantity": 1}, "book_id"),
    ({"book_id": [1], "quantity": 1}, "book_id"),
    ({"book_id": MOST + 1, "quantity": 1}, "book_id"),
    ({"book_id": 10**400, "quantity": 1}, "book_id"),
    ({"book_id": 1, "quantity": 0}, "quantity"),
    ({"book_id": 1, "quantity": -1}, "quantity"),
    ({"book_id": 1, "quantity": 10_001}, "quantity"),
    ({"book_id": 1, "quantity": 10**30}, "quantity"),
    ({"book_id": 1, "quantity": "2"}, "quantity"),
    ({"book_id": 1, "quantity": 2.5}, "quantity"),
    ({"book_id": 1, "quantity": 2.0}, "quantity"),
    ({"book_id": 1, "quantity": True}, "quantity"),
    ({"book_id": 1, "quantity": {}}, "quantity"),
    ({"book_id": 1, "quantity": 1, "price": 0.01}, "price"),
    ({"book_id": 1, "quantity": 1, "Quantity": 1}, "Quantity"),
    ({"book_id": 1, "quantity": 1, "customer_id": 1}, "customer_id"),
]
BAD_BODIES = [
    (b"", "missing"),
    (b"{", "not valid JSON"),
    (b"[]", "Expected `object`"),
    (b"null", "Expected `object`"),
    (b'"1"', "Expected `object`"),
    (b"\xff\xfe", "not valid JSON"),
    (b"\xef\xbb\xbf{}", "not valid JSON"),
    (b"[" * 33 + b"]" * 33, "deeper than 32"),
    (b'{"\\u0000": 1}', "unknown field"),
    (b'{"\\ud800": 1}', "not valid JSON"),
]
BAD_V1 = [
    (b'{"book_id": NaN, "quantity": 1}', "not valid JSON"),
    (b'{"book_id": 1, "quantity": Infinity}', "not valid JSON"),
    (b'{"book_id": 1, "quantity": 1, "quantity": 2}', "'quantity' twice"),
    (b'{"items": [{"book_id": 1, "quantity": 1}]}', "unknown field `items`"),
]
BAD_V2 = [
    (b"{}", "missing required field `items`"),
    (b'{"items": []}', "items: "),
    (b'{"items": null}', "items: "),
    (b'{"items": {}}', "items: "),
    (b'{"items": [null]}', "items[0]: "),
    (b'{"items": [[]]}', "items[0]: "),
    (b'{"items": [1]}', "items[0]: "),
    (b'{"book_id": 1, "quantity": 1}', "unknown field `book_id`"),
    (b'{"items": [{"book_id": 1, "quantity": 1, "quantity": 1}]}', "'quantity' twice"),
    (b'{"items": [{"book_id": 1, "quantity": 1}], "items": []}', ""),
    (b'{"items": [{"book_id": 1, "quantity": 1}], "customer_id": 1}', "unknown field `customer_id`"),
    (v2({"book_id": 1, "quantity": 1})[:-2] + b', {"book_id": 1, "quantity": 0}]}', "quantity: "),
    (json.dumps({"items": [{"book_id": 1, "quantity": 1}] * 101}).encode(), "items: "),
    (json.dumps({"items": [{"book_id": n, "quantity": 1} for n in range(1, 102)]}).encode(), "items: "),
    (
        json.dumps({"items": [{"book_id": 1, "quantity": 6000}] * 2}).encode(),
        "at most 10000 of book 1, not 12000",
    ),
    (json.dumps({"items": [{"book_id": 1, "quantity": 10_000}] * 100}).encode(), "not 1000000"),
    (
        json.dumps(
            {"items": [{"book_id": 2, "quantity": 1}, *[{"book_id": 1, "quantity": 5001}] * 2]}
        ).encode(),
        "at most 10000 of book 1",
    ),
]


def _cases():
    return (
        [("v1", v1(line), field) for line, field in BAD_LINES]
        + [("v2", v2(line), field) for line, field in BAD_LINES]
        + [(version, *case) for version in ("v1", "v2") for case in BAD_BODIES]
        + [("v1", *case) for case in BAD_V1]
        + [("v2", *case) for case in BAD_V2]
    )


@pytest.mark.parametrize(("version", "body", "says"), _cases(), ids=range(len(_cases())))
def test_a_bad_order_is_refused_with_its_reason_before_anybody_is_asked(  # noqa: PLR0917
    shared, shared_books, check_problem, version, body, says
):
    total, asked = shared.get("/v2/orders?limit=1").json()["total"], len(shared_books.asked)
    answer = shared.post(f"/{version}/orders", content=body, headers=JSON)
    problem = check_problem(answer, 422 if version == "v2" else 400, "validation")
    assert says in problem["detail"]
    assert shared.get("/v2/orders?limit=1").json()["total"] == total
    assert len(shared_books.asked) == asked


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(("quantity", "book_id"), [(1, 1), (10_000, 1), (10_000, 500)])
def test_the_bounds_themselves_are_taken(shared, version, quantity, book_id):
    line = {"book_id": book_id, "quantity": quantity}
    answer = shared.post(
        f"/{version}/orders", content=v1(line) if version == "v1" else v2(line), headers=JSON
    )
    assert answer.status_code == 201


def test_sums_are_checked_at_their_bound(shared):
    items = [{"book_id": 1, "quantity": 100}] * 100
    assert shared.post("/v2/orders", json={"items": items}).json()["items"][0]["quantity"] == 10_000


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("book_id", [999, MOST])
def test_a_book_that_is_not_there_is_404_and_named(shared, check_problem, version, book_id):
    total = shared.get("/v2/orders?limit=1").json()["total"]
    line = {"book_id": book_id, "quantity": 1}
    answer = shared.post(
        f"/{version}/orders", content=v1(line) if version == "v1" else v2(line), headers=JSON
    )
    assert f"book {book_id} not found" in check_problem(answer, 404, "not-found")["detail"]
    assert shared.get("/v2/orders?limit=1").json()["total"] == total


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_another_content_type_is_415(shared, check_problem, version, content_type):
    body = v1({"book_id": 1, "quantity": 1})
    answer = shared.post(f"/{version}/orders", content=body, headers={"Content-Type": content_type})
    check_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_body_over_the_limit_is_413(shared, check_problem, version):
    check_problem(shared.post(f"/{version}/orders", content=b" " * 1_048_577, headers=JSON), 413)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    "order_id",
    ["0", "-1", "999999999", str(MOST), str(MOST + 1), "9" * 5000, "abc", "1.0", "1e0", "+1", "01", "1_0",
     "%201", "%EF%BC%91", "null", "1;2", "%00"],
)  # fmt: skip
def test_an_id_that_names_no_order_is_404(shared, version, order_id):
    answer = shared.get(f"/{version}/orders/{order_id}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:bookstore:problem:not-found"


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=101", "limit=abc", "limit=1.5", "limit=", "limit=1&limit=2", "limit=1e1",
     "offset=-1", "offset=abc", "offset=1.5", "offset=", "offset=1&offset=2", "offset=2147483648"],
)  # fmt: skip
def test_a_page_that_cannot_be_is_refused(shared, check_problem, version, query):
    problem = check_problem(shared.get(f"/{version}/orders?{query}"), 422 if version == "v2" else 400)
    assert [error["field"] for error in problem["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_methods_slashes_and_heads(shared, check_problem, version):
    path = f"/{version}/orders"
    line = {"book_id": 1, "quantity": 1}
    made = shared.post(f"{path}/", content=v1(line) if version == "v1" else v2(line), headers=JSON)
    assert made.status_code == 201
    assert shared.get(f"{made.headers['location']}/").json()["id"] == made.json()["id"]
    assert shared.get(f"{path}/").status_code == 200
    head = shared.head(made.headers["location"])
    assert (head.status_code, head.content) == (200, b"")
    for method in ("PUT", "PATCH", "DELETE"):
        for each, allowed in ((path, {"GET", "POST"}), (f"{path}/1", {"GET"})):
            answer = shared.request(method, each)
            check_problem(answer, 405, "method-not-allowed")
            assert allowed <= set(re.split(r",\s*", answer.headers["allow"]))
    assert shared.options(path).headers["allow"] == "GET, HEAD, OPTIONS, POST"
    check_problem(shared.get(f"{path}/1/lines"), 404, "not-found")


STATUSES = {
    ("/v1/orders", "get"): {"200", "400", "401", "500", "503"},
    ("/v1/orders", "post"): {"201", "400", "401", "404", "409", "413", "415", "500", "503"},
    ("/v1/orders/{order_id}", "get"): {"200", "401", "404", "409", "500", "503"},
    ("/v1/orders/check-inventory/{book_id}", "get"): {"200", "401", "404", "500", "503"},
    ("/v2/orders", "get"): {"200", "401", "422", "500", "503"},
    ("/v2/orders", "post"): {"201", "401", "404", "409", "413", "415", "422", "500", "503"},
    ("/v2/orders/{order_id}", "get"): {"200", "401", "404", "500", "503"},
    ("/v2/orders/{order_id}/history", "get"): {"200", "401", "404", "500", "503"},
    ("/v2/orders/{order_id}/events", "get"): {"200", "204", "401", "404", "500", "503"},
    ("/v2/orders/{order_id}/cancel", "post"): {"200", "401", "404", "409", "500", "503"},
}


def test_the_openapi_document_tells_what_answers(shared):
    document = shared.get("/openapi.json").json()
    told = {
        (path, method): set(operation["responses"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if "/orders" in path
    }
    assert told == STATUSES
    schemas = document["components"]["schemas"]
    assert schemas["OrderV1"]["properties"]["total_price"]["type"] == "number"
    assert schemas["OrderV2"]["properties"]["total_price"]["type"] == "string"
    assert schemas["NewOrderV2"]["properties"]["items"]["maxItems"] == 100
    created = document["paths"]["/v1/orders"]["post"]["responses"]["201"]["content"]["application/json"]
    assert created["schema"]["$ref"].endswith("/OrderV1")
    for path in ("/v1/orders", "/v2/orders"):
        post = document["paths"][path]["post"]
        [key] = [each for each in post["parameters"] if each["in"] == "header"]
        assert (key["name"], key["required"]) == ("Idempotency-Key", False)
    change = schemas["Change"]["properties"]
    assert set(change) == {"from", "to", "at", "cause"}
    stream = document["paths"]["/v2/orders/{order_id}/events"]["get"]["responses"]["200"]
    assert list(stream["content"]) == ["text/event-stream"]

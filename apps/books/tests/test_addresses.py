"""Paths and methods: what answers where, and how everything else is refused."""

import re
from importlib.metadata import version

import pytest

PATHS = [
    ("/v1/books", {"GET", "POST"}),
    ("/v2/books", {"GET", "POST"}),
    ("/v1/books/1", {"GET", "PUT", "DELETE"}),
    ("/v2/books/1", {"GET", "PUT", "DELETE"}),
    ("/v2/cache", {"GET"}),
    ("/v2/books/1/cover", {"GET", "PUT", "DELETE"}),
    ("/inventory/1", {"GET", "PUT"}),
    ("/inventory/health", {"GET"}),
    ("/inventory/test-circuit-breaker", {"GET"}),
    ("/inventory/reservations", {"GET", "POST"}),
    ("/inventory/reservations/a", {"GET", "PUT"}),
    ("/inventory/reservations/a/commit", {"POST"}),
    ("/inventory/reservations/a/release", {"POST"}),
]


@pytest.mark.parametrize(("path", "methods"), PATHS)
def test_another_method_is_405_and_told_which_are_possible(shared, check_problem, path, methods):
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - methods:
        answer = shared.request(method, path)
        check_problem(answer, 405, "method-not-allowed")
        assert methods <= set(re.split(r",\s*", answer.headers["allow"]))


@pytest.mark.parametrize(("path", "methods"), PATHS)
def test_options_tells_which_methods_are_possible(shared, path, methods):
    answer = shared.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert methods <= set(re.split(r",\s*", answer.headers["allow"]))


@pytest.mark.parametrize(
    "path", ["/v1", "/v3/books", "/v1/book", "/v1/books/1/2", "/V1/books", "/v1/books.json"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_another_path_is_404(shared, check_problem, method, path):
    check_problem(shared.request(method, path), 404, "not-found")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_trailing_slashes_are_accepted(shared, add, version):
    book_id = add()["id"]
    assert shared.get(f"/{version}/books/").status_code == 200
    assert shared.get(f"/{version}/books/{book_id}/").json()["id"] == book_id
    made = shared.post(f"/{version}/books/", json={"title": "Emma", "author": "Jane Austen", "price": 1})
    assert (made.status_code, made.headers["location"]) == (201, f"/{version}/books/{made.json()['id']}")
    assert shared.put(f"/{version}/books/{book_id}/", json={"price": 1}).status_code == 200
    assert shared.delete(f"/{version}/books/{book_id}/").status_code == 200


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_head_is_get_without_its_body(shared, add, version):
    for path in (f"/{version}/books/{add()['id']}", f"/{version}/books"):
        answer = shared.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == "application/json"
    missing = shared.head(f"/{version}/books/999999999")
    assert (missing.status_code, missing.content) == (404, b"")


@pytest.mark.parametrize("path", ["/v1/books/1", "/v1/books/999999999", "/nowhere"])
def test_the_request_id_is_taken_over_or_made(shared, path):
    assert shared.get(path, headers={"X-Request-ID": "abc-1.2:3_4"}).headers["x-request-id"] == "abc-1.2:3_4"
    for insane in ("a b", "x" * 129, "a\tb", '"}', "é"):
        made = shared.get(path, headers={"X-Request-ID": insane.encode()}).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_who_and_what_runs(shared):
    card = shared.get("/whoami").json()
    assert (card["service"], card["version"]) == ("books", version("bookstore-books"))
    assert shared.get("/health/live").json() == {"status": "healthy", "services": {}}
    assert shared.get("/health/ready").json() == {"status": "healthy", "services": {"database": "healthy"}}
    metrics = shared.get("/metrics").text
    assert 'http_requests_total{handler="/v1/books/{book_id}",method="GET",status_class="5xx"} 0.0' in metrics


def _references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


FAILED, GUARDED, BODY = {"500", "503"}, {"401", "403"}, {"413", "415"}
HELD = "/inventory/reservations/{reservation_id}"
STATUSES = {
    ("/v2/circuits", "get"): {"200", "401", "403", "500", "503"},
    ("/v2/circuits/{dependency}", "post"): {"200", "404", "413", "415", "422", "500", "503"} | GUARDED,
    ("/v1/books", "get"): {"200", "304", "400", "500", "503"},
    ("/v1/books", "post"): {"201", "400", "413", "415", "500", "503"} | GUARDED,
    ("/v1/books/{book_id}", "get"): {"200", "304", "404", "500", "503"},
    ("/v1/books/{book_id}", "put"): {"200", "400", "404", "412", "413", "415", "500", "503"} | GUARDED,
    ("/v1/books/{book_id}", "delete"): {"200", "404", "412", "500", "503"} | GUARDED,
    ("/v2/books", "get"): {"200", "304", "422", "500", "503"},
    ("/v2/books", "post"): {"201", "413", "415", "422", "500", "503"} | GUARDED,
    ("/v2/books/{book_id}", "get"): {"200", "304", "404", "500", "503"},
    ("/v2/books/{book_id}", "put"): {"200", "404", "412", "413", "415", "422", "500", "503"} | GUARDED,
    ("/v2/books/{book_id}", "delete"): {"200", "404", "412", "500", "503"} | GUARDED,
    ("/v2/cache", "get"): {"200"} | FAILED | GUARDED,
    ("/v2/books/{book_id}/cover", "get"): {"200", "304", "404"} | FAILED,
    ("/v2/books/{book_id}/cover", "put"): {"200", "201", "404", "408", "412"} | FAILED | GUARDED | BODY,
    ("/v2/books/{book_id}/cover", "delete"): {"204", "404", "412"} | FAILED | GUARDED,
    ("/inventory/health", "get"): {"200"} | FAILED,
    ("/inventory/test-circuit-breaker", "get"): FAILED,
    ("/inventory/{book_id}", "get"): {"200", "404"} | FAILED,
    ("/inventory/{book_id}", "put"): {"200", "400", "404", "409"} | FAILED | GUARDED | BODY,
    ("/inventory/reservations", "get"): {"200", "400"} | FAILED | GUARDED,
    ("/inventory/reservations", "post"): {"200", "400"} | FAILED | GUARDED | BODY,
    (HELD, "get"): {"200", "404"} | FAILED | GUARDED,
    (HELD, "put"): {"200", "201", "400", "404", "409"} | FAILED | GUARDED | BODY,
    (f"{HELD}/commit", "post"): {"200", "404", "409"} | FAILED | GUARDED,
    (f"{HELD}/release", "post"): {"200", "404", "409"} | FAILED | GUARDED,
}


def _leaves(schema):
    """The parts of a schema that hold one value each."""
    if "items" in schema:
        yield from _leaves(schema["items"])
    elif schema.get("oneOf") and "examples" not in schema:
        yield from (leaf for each in schema["oneOf"] if each.get("type") != "null" for leaf in _leaves(each))
    elif "$ref" not in schema and "additionalProperties" not in schema:
        yield schema


def test_the_page_of_documents_has_an_example_of_everything(shared):
    document = shared.get("/openapi.json").json()
    common = {"ProblemDetails", "FieldError", "Health", "QueueHealth", "WhoAmI"}
    for name, schema in document["components"]["schemas"].items():
        for field, told in schema.get("properties", {}).items() if name not in common else ():
            for leaf in _leaves(told):
                assert leaf.get("examples") or "enum" in leaf, (name, field)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                schema = parameter["schema"]
                assert schema.get("examples") or "default" in schema, (path, parameter["name"])


def test_the_openapi_document_tells_what_answers(shared):
    document = shared.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["info"] == {"title": "Bookstore books", "version": version("bookstore-books")}
    operations = {
        (path, method): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    own = {key: told for key, told in operations.items() if "operations" not in told["tags"]}
    assert {key: set(told["responses"]) for key, told in own.items()} == STATUSES
    names = [operation["operationId"] for operation in operations.values()]
    assert len(set(names)) == len(names)
    assert all(operation["description"] for operation in operations.values())
    for reference in set(_references(document)):
        part = document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
    for path in ("/v1/books/{book_id}", "/v2/books/{book_id}"):
        told = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert told["$ref"].rpartition("/")[2] in {"BookV1", "BookRead"}
    assert document["components"]["schemas"]["NewBookV1"]["properties"]["price"]["examples"][0] == "12.99"

"""What strangers send: one list of bodies, tried wherever a service says that it takes one."""

import json
import secrets
from pathlib import Path

import httpx
import pytest

SERVICES = ("accounts", "books", "orders")
JSON = {"Content-Type": "application/json"}
LIMIT = 1_048_576

REFUSED = {
    "nothing": b"",
    "no JSON": b"hello",
    "cut short": b'{"a": [1, 2',
    "two values": b"{} {}",
    "an array": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "a NUL byte": b"\0",
    "invalid UTF-8": b'{"a": "\xff\xfe"}',
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a lone surrogate": rb'{"a": "\ud800"}',
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a duplicate key": b'{"a": 1, "a": 2}',
    "a duplicate key, escaped": rb'{"a": 1, "\u0061": 2}',
    "a pollution of prototypes": b'{"__proto__": {"roles": ["ops"]}}',
}

VALUES = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "a huge integer": b"9" * 5000,
    "a negative huge integer": b"-" + b"9" * 400,
    "a huge exponent": b"1e999999999",
    "beyond 64 bits": b"18446744073709551616",
    "a NUL": rb'"a\u0000b"',
    "a raw NUL": b'"a\0b"',
    "a raw line end": b'"a\nb"',
    "invalid UTF-8": b'"\xff"',
    "a lone surrogate": rb'"\udfff"',
    "an object": b'{"$gt": ""}',
    "an object that isn't closed": b'{"a": ',
    "nested arrays": b"[" * 40 + b"]" * 40,
    "true": b"true",
    "long text": b'"' + b"x" * 20_000 + b'"',
}
"""Put in the place of each field in turn; a bad one must be named, the others are as they should be."""

INJECTED = [
    "'; DROP TABLE users; --",
    "' OR '1'='1",
    "1; SELECT pg_sleep(10)",
    "\\'; COPY users TO PROGRAM 'id'; --",
    "x\r\nSet-Cookie: owned=1\r\n\r\n<html>",
    "x%0d%0aSet-Cookie:%20owned=1",
    "../../../../etc/passwd",
    "{{7*7}} ${7*7} %s %(x)s {0}",
    "<script>alert(1)</script>",
    "\u202e\u2066\u200b",
]
"""Text that would do harm if anybody took it for more than text."""


def resolved(schema, document):
    """A schema itself, where it is referred to; the first that isn't null, where there is a choice."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif "type" not in schema and (choice := schema.get("oneOf") or schema.get("anyOf")):
            schema = next(each for each in choice if each.get("type") != "null")
        else:
            return schema


def good(schema, document, name=""):
    """A value that fits."""
    schema = resolved(schema, document)
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            value = {each: good(inner, document, each) for each, inner in schema["properties"].items()}
        case "array":
            value = [good(schema["items"], document)]
        case "integer" | "number":
            value = 1
        case "boolean":
            value = False
        case _ if name == "email":
            value = f"x-{secrets.token_hex(6)}@example.com"
        case _:
            value = "1.00" if name == "price" else "x" * max(8, schema.get("minLength", 0))
    return schema["enum"][0] if "enum" in schema else value


class Operation:
    """An operation that takes JSON."""

    def __init__(self, url, path, method, body):
        self.method = method.upper()
        self.url = url + path.replace("{", "1").replace("}", "")
        self.path = path
        self.body = body

    def __str__(self):
        return f"{self.method} {self.path}"

    def send(self, client, content, headers):
        answer = client.request(self.method, self.url, content=content, headers=JSON | headers)
        assert answer.status_code < 500, (str(self), answer.text, content[:200])
        assert "set-cookie" not in answer.headers
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
            for inside in ("Traceback", "psycopg", "msgspec", "INSERT"):
                assert inside not in answer.text
        return answer

    def with_field(self, name, value):
        """The good body with other text in the place of one field."""
        fields = {each: json.dumps(given).encode() for each, given in self.body.items()} | {name: value}
        return b"{%b}" % b", ".join(b'"%b": %b' % (each.encode(), text) for each, text in fields.items())


def operations(client, url):
    document = client.get(f"{url}/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            content = told.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                body = good(content["application/json"]["schema"], document)
                yield Operation(url, path, method, body)


@pytest.fixture(scope="module", params=SERVICES)
def service(request, bookstore):
    """Where a service answers, and somebody who is logged in there."""
    return bookstore.url(f"{request.param}-1")


@pytest.fixture(scope="module")
def headers(bookstore):
    """Of a customer without a future, and of an operator, for what nobody may do without a token."""
    accounts = bookstore.url("accounts-1")
    person = {"email": f"x-{secrets.token_hex(6)}@example.com", "password": "x" * 12}
    with httpx.Client(base_url=accounts, trust_env=False) as client:
        assert client.post("/auth/register", json={**person, "name": "X"}).status_code == 201
        token = client.post("/auth/login", json=person).json()["access_token"]
        known = json.loads(Path(bookstore.status()["credentials_file"]).read_text())["accounts"]
        operator = {"email": (email := "ops@bookstore.local"), "password": known[email]}
        ops = client.post("/auth/login", json=operator).json()["access_token"]
    return {
        "/auth/password": {"Authorization": f"Bearer {token}"},
        "/v2/circuits/{dependency}": {"Authorization": f"Bearer {ops}"},
    }


def test_every_bad_body_is_refused_in_words(service, client, headers):
    found = list(operations(client, service))
    assert found
    for operation in found:
        allowed = headers.get(operation.path, {})
        for what, content in REFUSED.items():
            answer = operation.send(client, content, allowed)
            assert answer.status_code in {400, 422}, (str(operation), what, answer.text)
        answer = operation.send(client, b'{"a": "' + b"x" * LIMIT + b'"}', allowed)
        assert answer.status_code == 413, (str(operation), answer.text)
        answer = operation.send(client, b"{}", {**allowed, "Content-Type": "text/plain"})
        assert answer.status_code == 415, (str(operation), answer.text)


def test_every_bad_value_is_refused_in_words(service, client, headers):
    for operation in operations(client, service):
        allowed = headers.get(operation.path, {})
        for name in operation.body:
            for what, value in VALUES.items():
                answer = operation.send(client, operation.with_field(name, value), allowed)
                assert answer.status_code >= 400, (str(operation), name, what, answer.text)


def test_text_is_text(service, client, headers):
    for operation in operations(client, service):
        allowed = headers.get(operation.path, {})
        for name, given in operation.body.items():
            if isinstance(given, str):
                for text in INJECTED:
                    operation.send(client, operation.with_field(name, json.dumps(text).encode()), allowed)
    assert client.get(f"{service}/health/ready").status_code == 200

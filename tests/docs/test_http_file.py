"""The requests' files are understood to the last line, and what they say is really looked at."""

from pathlib import Path

import httpx
import pytest
from http_file import Unreadable, holds, parse, run

FILES = sorted((Path(__file__).parent.parent.parent / "docs" / "requests").glob("*.http"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_line_of_our_files_is_understood_and_every_request_is_held_to_something(file):
    variables, requests = parse(file.read_text())
    assert variables == {"run": "{{$timestamp}}"}
    assert len(requests) >= 10
    titles = [request.title for request in requests]
    assert len(set(titles)) == len(titles)
    assert [request.title for request in requests if not request.assertions] == []


@pytest.mark.parametrize(
    ("assertion", "answers"),
    [
        ("status == 201", {201: True, 200: False}),
        ("js response.parsedBody.a.b[0].c == 7", {201: True}),
        ("js response.parsedBody.a.b[0].c == 8", {201: False}),
        ("js response.parsedBody.a.b[1].c exists", {201: False}),
        ("js response.parsedBody.a.yes == true", {201: True}),
        ("js response.parsedBody.a.b[0].c > 6", {201: True}),
        ("js response.parsedBody.a.b[0].c < 6", {201: False}),
        ("js response.parsedBody.a.word matches ^(one|two)$", {201: True}),
        ("js response.parsedBody.a.word matches ^(three|four)$", {201: False}),
        ("header retry-after exists", {201: False}),
        ("header x-limit == 10", {201: True}),
        ("body contains word", {201: True}),
        ("body contains sword", {201: False}),
        ("duration < 100", {201: True}),
        ("duration > 100", {201: False}),
    ],
)
def test_an_assertion_can_fail(assertion, answers):
    body = {"a": {"b": [{"c": 7}], "yes": True, "word": "two"}}
    for status, expected in answers.items():
        answer = httpx.Response(status, json=body, headers={"X-Limit": "10"})
        assert holds(assertion, answer, 50.0) is expected


def test_a_file_is_sent_in_order_with_what_was_answered_before():
    seen = []

    def answer(request):
        seen.append((request.method, str(request.url), request.headers.get("authorization"), request.content))
        return httpx.Response(201, json={"id": len(seen), "token": {"text": "secret"}})

    text = """
@run={{$timestamp}}

### First
# @name first
POST {{books}}/v1/books
Content-Type: application/json

{"title": "{{word}}"}

?? status == 201

### Second
# @loop for 2
GET {{books}}/v1/books/{{first.id}}
Authorization: Bearer {{first.token.text}}
?? js response.parsedBody.id == 2
"""
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        failures = run(text, {"books": "http://books", "word": "so"}, client)
    assert seen == [
        ("POST", "http://books/v1/books", None, b'{"title": "so"}'),
        ("GET", "http://books/v1/books/1", "Bearer secret", b""),
        ("GET", "http://books/v1/books/1", "Bearer secret", b""),
    ]
    assert [failure.partition(":")[0] for failure in failures] == ["Second [2]"]


@pytest.mark.parametrize(
    "line", ["?? status is 200", "# @loop while true", "FETCH http://books", "?? js anything == 1", "# @if x"]
)
def test_what_is_not_understood_is_not_passed_over(line):
    with pytest.raises(Unreadable):
        parse(f"### One\n{line}\nGET http://books\n")


def test_a_variable_that_nobody_knows_is_an_error():
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with httpx.Client(transport=transport) as client, pytest.raises(Unreadable, match="nobody"):
        run("### One\nGET http://books/{{order.id}}\n", {}, client)

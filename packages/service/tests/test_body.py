"""Reading a body takes time in proportion to its length, whatever its author had in mind."""

from time import thread_time
from typing import Any

import pytest

from bookstore.service.body import decode
from bookstore.service.problem import Problem

MEBI = 1 << 20
OPENING = b"[" * 33  # deep enough for the body to be looked at closely


@pytest.mark.parametrize(
    "body",
    [
        OPENING + b'"' + b'\\"' * (MEBI // 2),
        OPENING + b'"' + b'\\"' * (MEBI // 2) + b"\\",
        OPENING + b'"' * MEBI,
        OPENING + b"\\" * MEBI,
        b"[]" * (MEBI // 2),
        b"[" + b"[]," * (MEBI // 3) + b"[" * 33 + b"]" * 34,
        b"[" * MEBI,
        b'{"":' * (MEBI // 4),
        b"9" * MEBI,
        b'"' + b"\\u0000" * (MEBI // 6) + b'"',
        b"{" + b",".join(b'"%d":1' % key for key in range(90_000)) + b',"89999":1}',
    ],
    ids=range(11),
)
def test_the_worst_of_bodies_is_refused_at_once(body):
    started = thread_time()
    with pytest.raises(Problem):
        decode(body, Any, "/v2/things")
    assert thread_time() - started < 1


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 33 + b"]" * 33,
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b'[{"a":' * 16 + b"[1]" + b"}]" * 16,
        b"[1, " * 33 + b"2" + b"]" * 33,
        b"[[], " + b"[" * 32 + b"]" * 32 + b", []]",
        rb'["\\", "\"", ' + b"[" * 32 + b"]" * 33,
    ],
)
def test_what_is_too_deep_is_said_to_be(body):
    for refused in (body, body[:-1]):
        with pytest.raises(Problem, match=r"nested deeper than 32|not valid JSON"):
            decode(refused, Any, "/v2/things")
    with pytest.raises(Problem, match="nested deeper than 32"):
        decode(body, Any, "/v2/things")


@pytest.mark.parametrize(
    "body", [b"[" * 32 + b"]" * 32, b'{"a":' * 32 + b"1" + b"}" * 32, b"[" + b"[]," * 99 + b"1]"]
)
def test_what_is_as_deep_as_may_be_is_taken(body):
    assert decode(body, Any, "/v2/things")


@pytest.mark.parametrize("text", ['a\\"[', "\\\\", "[" * 40, '\\"' * 40 + "{", "\\\\\\" + '"['])
def test_brackets_within_strings_are_no_depth(text):
    body = b'["%b", %b]' % (text.encode(), b"[" * 31 + b"]" * 31)
    assert decode(body, Any, "/v2/things")

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
        b"[" * MEBI,
        b'{"":' * (MEBI // 4),
        b"9" * MEBI,
        b'"' + b"\\u0000" * (MEBI // 6) + b'"',
        b"{" + b",".join(b'"%d":1' % key for key in range(90_000)) + b',"89999":1}',
    ],
    ids=range(10),
)
def test_the_worst_of_bodies_is_refused_at_once(body):
    started = thread_time()
    with pytest.raises(Problem):
        decode(body, Any, "/v2/things")
    assert thread_time() - started < 1


@pytest.mark.parametrize("text", ['a\\"[', "\\\\", "[" * 40, '\\"' * 40 + "{", "\\\\\\" + '"['])
def test_brackets_within_strings_are_no_depth(text):
    body = b'["%b", %b]' % (text.encode(), b"[" * 31 + b"]" * 31)
    assert decode(body, Any, "/v2/things")

"""Entity tags: lists of them, weak ones, `*`, and what is none."""

import pytest

from bookstore.service.conditional import etag_of, is_conditional, is_known, require_match
from bookstore.service.problem import Problem

TAG = '"abc"'


def _headers(name, *values):
    return [(b"host", b"x"), *((name, value.encode("latin-1")) for value in values)]


def test_an_etag_is_a_quoted_word_of_the_content():
    assert etag_of(b"1") == etag_of(b"1") != etag_of(b"2")
    assert etag_of(b"1")[0] == etag_of(b"1")[-1] == '"'


# What is given, whether it matches weakly, and whether it does strongly.
GIVEN = [
    (['"abc"'], True, True),
    (['W/"abc"'], True, False),
    (["*"], True, True),
    ([" * "], True, True),
    (['"x", "abc"'], True, True),
    (['"x","abc" ,W/"y"'], True, True),
    (['W/"x", W/"abc"'], True, False),
    (['"x"', '"abc"'], True, True),
    (['"a,b", "abc"'], True, True),
    (['"x"'], False, False),
    (['"abc,"'], False, False),
    (['"ABC"'], False, False),
    (["abc"], False, False),
    (['w/"abc"'], False, False),
    (['"abc"x', '"y"'], False, False),
    ([""], False, False),
    ([", ,"], False, False),
    (['"*"'], False, False),
    (["é"], False, False),
]


@pytest.mark.parametrize(("given", "weakly", "strongly"), GIVEN)
def test_which_headers_name_the_state(given, weakly, strongly):
    assert is_known(_headers(b"if-none-match", *given), TAG) is weakly
    _goes_on(_headers(b"if-match", *given), TAG, goes=strongly)
    _goes_on(_headers(b"if-none-match", *given), TAG, goes=not weakly)


def _goes_on(headers, etag, *, goes):
    assert is_conditional(headers)
    if goes:
        require_match(headers, etag)
    else:
        with pytest.raises(Problem) as refused:
            require_match(headers, etag)
        assert (refused.value.status, refused.value.slug) == (412, "precondition-failed")


@pytest.mark.parametrize("given", ["*", TAG, f"W/{TAG}"])
def test_what_is_not_there_yet_can_only_be_made(given):
    _goes_on(_headers(b"if-match", given), None, goes=False)
    _goes_on(_headers(b"if-none-match", given), None, goes=True)


def test_both_must_hold():
    headers = [*_headers(b"if-match", TAG), (b"if-none-match", TAG.encode())]
    _goes_on(headers, TAG, goes=False)


def test_who_asks_nothing_of_the_state_goes_on():
    assert not is_known(_headers(b"if-match", TAG), TAG)
    assert not is_conditional(_headers(b"if-modified-since", "x"))
    require_match(_headers(b"if-modified-since", "x"), TAG)

"""Guides as data: what they say is held against what is seen, and can fail."""

import pytest

from bookstore.lab.experiments import actions
from bookstore.lab.failures import LabError
from bookstore.lab.load.wire import Answer
from bookstore.lab.scenarios.guide import Check, library, parse
from bookstore.lab.scenarios.seen import Seen, field_of, filled, observe


def seen(status=200, body=b"{}", seconds=0.1, **headers):
    return Seen(Answer(status, headers, body), seconds)


ANSWERS = [
    seen(body=b'{"a":{"b":[1,2]}}', seconds=0.5),
    seen(503, b"open", **{"retry-after": "1"}),
    Seen(None, 9.0),
]


@pytest.mark.parametrize(
    ("check", "holds"),
    [
        ({"which": "first", "equals": 200}, True),
        ({"which": "first", "equals": 201}, False),
        ({"equals": 200}, False),
        ({"which": "any", "equals": 503}, True),
        ({"which": "last", "equals": 200}, False),
        ({"look": "field", "field": "a.b.1", "which": "first", "equals": 2}, True),
        ({"look": "field", "field": "a.c", "which": "first"}, False),
        ({"look": "field", "field": "a.b", "which": "first"}, True),
        ({"look": "text", "which": "second", "has": "ope"}, True),
        ({"look": "text", "has": "ope"}, False),
        ({"look": "header", "field": "Retry-After", "which": "second", "equals": "1"}, True),
        ({"look": "header", "field": "Retry-After", "which": "first"}, False),
        ({"look": "seconds", "which": "first", "below": 0.6, "above": 0.4}, True),
        ({"look": "seconds", "which": "first", "below": 0.5}, False),
        ({"look": "text", "which": "second", "below": 5}, False),
        ({"distinct": 3}, True),
        ({"distinct": 4}, False),
        ({"exactly": {"200": 1, "503": 1, "nobody there": 1}}, True),
        ({"exactly": {"200": 2}}, False),
        ({"which": "second", "one_of": [502, 503]}, True),
        ({"which": "second", "one_of": [500]}, False),
    ],
)
def test_a_check_can_hold_and_can_fail(check, holds):
    assert observe(Check(says="x", **check), ANSWERS, {}).holds == holds


def test_without_an_answer_nothing_holds():
    assert not observe(Check(says="x", distinct=0), [], {}).holds


def test_variables_keep_their_kind_where_they_stand_alone():
    known = {"book": 7, "name": "x"}
    assert filled({"a": ["{book}", "no {book} of {name}"], "b": 1}, known) == {"a": [7, "no 7 of x"], "b": 1}
    assert field_of(b"no json", "a") is None


def test_all_five_guides_are_there_and_every_deed_is_an_action():
    guides = library()
    assert list(guides) == ["000", "001", "002", "003", "004"]
    for guide in guides.values():
        for step in guide.steps:
            assert step.see, step.title
            for deed in [*step.first, *step.then]:
                assert deed.action in actions.__all__


def test_a_guide_that_makes_no_sense():
    with pytest.raises(LabError):
        parse(
            "mine", b'{"number":"9","title":"x","steps":[{"title":"y","see":[{"says":"z","look":"colour"}]}]}'
        )

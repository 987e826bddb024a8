"""What answers say of a target, and several targets of one thing: the rules by themselves."""

import json
from datetime import UTC, datetime

import pytest

from bookstore.monitor.health.model import (
    BROKEN,
    LATE,
    SILENT,
    UNREACHABLE,
    Finding,
    Judgement,
    in_time,
    judge_group,
    judge_health,
    together,
)

WELL = Judgement("HEALTHY")
ONE, TWO = ("one", "two")


def health(status, **services):
    return json.dumps({"status": status, "service": "books", "version": "1", "services": services}).encode()


@pytest.mark.parametrize(
    ("status", "body", "state", "detail", "needs"),
    [
        (200, health("healthy"), "HEALTHY", "", ()),
        (200, health("healthy", redis="healthy", database="healthy"), "HEALTHY", "", ("database", "redis")),
        (200, health("degraded", redis="unhealthy"), "DEGRADED", "lacks redis", ("redis",)),
        (200, health("degraded"), "DEGRADED", "says that it is degraded", ()),
        (200, health("unhealthy", database="unhealthy"), "UNHEALTHY", "lacks database", ("database",)),
        (503, health("healthy"), "UNHEALTHY", "answers with status 503", ()),
        (503, health("draining"), "UNHEALTHY", "answers with status 503", ()),
        (503, b"", "UNHEALTHY", "answers with status 503", ()),
        (200, b"<html>", BROKEN.status, BROKEN.detail, ()),
        (200, b"{}", BROKEN.status, BROKEN.detail, ()),
        (
            200,
            health("healthy", **{"<b>": "healthy", "x" * 65: "healthy", "é": "healthy"}),
            "HEALTHY",
            "",
            (),
        ),
        (200, health("degraded", **{"<b>": "unhealthy"}), "DEGRADED", "says that it is degraded", ()),
    ],
)
def test_an_answer(status, body, state, detail, needs):
    assert judge_health(status, body) == Judgement(state, detail, needs=needs)


@pytest.mark.parametrize(
    ("found", "state", "detail"),
    [
        ([WELL, WELL], "HEALTHY", ""),
        ([WELL, UNREACHABLE], "DEGRADED", f"two: {UNREACHABLE.detail}"),
        ([UNREACHABLE, SILENT], "UNHEALTHY", f"one: {UNREACHABLE.detail}; two: {SILENT.detail}"),
        ([UNREACHABLE, LATE], "DEGRADED", f"one: {UNREACHABLE.detail}; two: {LATE.detail}"),
        ([UNREACHABLE, UNREACHABLE], "DOWN", f"one: {UNREACHABLE.detail}; two: {UNREACHABLE.detail}"),
    ],
)
def test_servers_of_one_store_are_as_well_as_the_best_of_them(found, state, detail):
    judged = judge_group([*zip((ONE, TWO), found, strict=True)])
    assert (judged.status, judged.detail) == (state, detail)


def test_what_the_best_of_them_says_beside_its_state_is_kept():
    judged = judge_group([(ONE, UNREACHABLE), (TWO, Judgement("UNHEALTHY", "lacks x", needs=("x",)))])
    assert (judged.status, judged.needs) == ("UNHEALTHY", ("x",))


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([WELL, WELL], "HEALTHY"),
        ([WELL, UNREACHABLE], "DEGRADED"),
        ([LATE, UNREACHABLE], "DEGRADED"),
        ([SILENT, UNREACHABLE], "UNHEALTHY"),
        ([UNREACHABLE, UNREACHABLE], "DOWN"),
    ],
)
def test_instances_of_one_service(found, state):
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    one, two = (
        Finding(each, at, took) for each, at, took in zip(found, (late, early), (0.1, None), strict=True)
    )
    told = together([(ONE, one), (TWO, two)])
    assert (told.status, told.checked_at, told.response_time_ms) == (state, early, 100.0)
    assert all((name in told.detail) is (each != WELL) for name, each in zip((ONE, TWO), found, strict=True))


def test_only_a_good_answer_can_be_late():
    assert in_time(WELL, 0.5, 0.5) == WELL
    assert in_time(WELL, 0.6, 0.5).status == "DEGRADED"
    assert in_time(UNREACHABLE, 9.0, 0.5) == UNREACHABLE

"""Checkers can fail: each says invalid of a run with the bug that it is there for, and unknown of one that
proves nothing. What the bugs leave behind is forged here; tests/test_experiments.py makes real ones."""

import pytest

from bookstore.lab.experiments.evidence import Bitten, Effect, Evidence, Fate, Stock, worst
from bookstore.lab.experiments.invariants import INVARIANTS, judge
from bookstore.lab.load.history import Request

INJECTED, HEALED, ENDED = 3.0, 8.0, 12.0
BIT = Bitten("kill worker", True, "it is gone")
OPENED = [(1.0, 0.0), (4.0, 1.0), (9.0, 0.0)]
SHUT = [(9.0, 1.0)]
WANTED = {
    "no_loss": {},
    "no_duplicate": {},
    "one_change": {},
    "stock_adds_up": {},
    "answer_within": {},
    "no_5xx_outside": {},
    "no_errors": {},
    "recovers": {},
    "circuit_opens_and_closes": {"metric": "circuit", "closed": "closed"},
    "retries_bounded": {},
    # The forged fault lasts one interval of the monitor.
    "monitor_names": {"service": "supplier", "state": "DOWN", "intervals": 1.0},
}


def request(number, **more):
    due = number / 10
    known = {"number": number, "op": "order", "due": due, "sent": due, "done": due + 0.05, "status": 201}
    return Request(**known | {"order": number + 1} | more)


def evidence(**more):
    """120 orders in 12 s, all validated, one effect each."""
    requests = [request(number) for number in range(120)]
    numbers = range(1, 121)
    states = [(0.0, "HEALTHY"), (4.0, "DOWN"), (11.0, "HEALTHY")]
    return Evidence(
        **{
            "requests": requests,
            "due": len(requests),
            "began": 0.0,
            "injected": INJECTED,
            "healed": HEALED,
            "ended": ENDED,
            "bites": [BIT],
            "orders": {number: Fate(status="Validated", changes=["Validated"]) for number in numbers},
            "effects": {number: Effect(effects=1, calls=1) for number in numbers},
            "stock": Stock(copies=1000, quantity=880, reserved=0),
            "drained": 1.0,
            "well_again": 1.0,
            "metrics": {"circuit": OPENED, "closed": [(1.0, 1.0), (4.0, 0.0), (9.0, 1.0)]},
            "monitor": {"supplier": states},
        }
        | more
    )


def verdicts(evidence):
    return {verdict.invariant: verdict for verdict in judge(evidence, WANTED)}


def order(number, status, *changes):
    return lambda made: made.orders.__setitem__(number, Fate(status=status, changes=list(changes)))


def effects(effects, calls):
    return lambda made: made.effects.update({n: Effect(effects=effects, calls=calls) for n in made.effects})


def answers(begin, end, **fields):
    def spoil(made):
        for each in made.requests[begin:end]:
            for name, value in fields.items():
                setattr(each, name, value)

    return spoil


def seen(name, **fields):
    return lambda made: setattr(made, name, fields or None)


BUGS = {
    "acknowledged before the commit": ("no_loss", lambda made: made.orders.pop(50)),
    "forgotten by the worker": ("no_loss", order(50, "Processing")),
    "an order out of nothing": ("no_loss", order(900, "Validated", "Validated")),
    "no fence": ("one_change", order(50, "Failed", "Validated", "Failed")),
    "a state that its history doesn't know": ("one_change", order(50, "Rejected", "Validated")),
    "another key for each try": ("no_duplicate", effects(effects=2, calls=2)),
    "stock sold twice": ("stock_adds_up", lambda made: setattr(made.stock, "quantity", 879)),
    "stock held for ever": ("stock_adds_up", lambda made: setattr(made.stock, "reserved", 1)),
    "one answer late": ("answer_within", answers(50, 51, done=7.01)),
    "one answer never": ("answer_within", answers(50, 51, done=None)),
    "a 500 before the fault": ("no_5xx_outside", answers(5, 6, status=500, order=0)),
    "a 503 under the fault": ("no_errors", answers(50, 51, status=503, order=0)),
    "it never recovers": ("recovers", answers(85, 120, status=503, order=0)),
    "work is left": ("recovers", seen("drained")),
    "a part stays away": ("recovers", seen("well_again")),
    "the breaker never opens": (
        "circuit_opens_and_closes",
        seen("metrics", circuit=[(1.0, 0.0), (4.0, 0.0)], closed=SHUT),
    ),
    "the breaker never closes": (
        "circuit_opens_and_closes",
        seen("metrics", circuit=[(1.0, 0.0), (4.0, 1.0)], closed=SHUT),
    ),
    "the breaker stays half open": (
        "circuit_opens_and_closes",
        seen("metrics", circuit=OPENED, closed=[(1.0, 1.0), (9.0, 0.0)]),
    ),
    "retry without budget": ("retries_bounded", effects(effects=1, calls=9)),
    "a monitor that lies": ("monitor_names", seen("monitor", supplier=[(0.0, "HEALTHY"), (4.0, "HEALTHY")])),
    "a monitor that is late": ("monitor_names", seen("monitor", supplier=[(8.5, "DOWN"), (11.0, "HEALTHY")])),
    "a monitor that never forgives": (
        "monitor_names",
        seen("monitor", supplier=[(4.0, "DOWN"), (11.0, "DOWN")]),
    ),
}
"""What a bug breaks, and what it leaves behind in a run in which all else held."""


def spoiled(bug):
    made = evidence()
    BUGS[bug][1](made)
    return made


def test_a_run_in_which_everything_held():
    found = verdicts(evidence())
    assert {name: v.judgement for name, v in found.items()} == dict.fromkeys(INVARIANTS, "valid"), found


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_makes_its_invariant_invalid(bug):
    found = verdicts(spoiled(bug))
    assert found[BUGS[bug][0]].judgement == "invalid", found
    assert worst(list(found.values())) == "invalid"


def test_every_invariant_can_fail():
    """Whoever adds one adds its bug above."""
    assert {invariant for invariant, _ in BUGS.values()} == set(INVARIANTS)


@pytest.mark.parametrize(
    ("missing", "invariants"),
    [
        ({"orders": None}, {"no_loss", "no_duplicate", "one_change", "stock_adds_up", "retries_bounded"}),
        ({"effects": None}, {"no_duplicate", "retries_bounded"}),
        ({"effects": {}}, {"no_duplicate", "retries_bounded"}),
        ({"stock": None}, {"stock_adds_up"}),
        ({"drained": None}, {"stock_adds_up"}),
        ({"due": 121}, {"answer_within"}),
        ({"metrics": {}}, {"circuit_opens_and_closes"}),
        ({"metrics": {"circuit": OPENED}}, {"circuit_opens_and_closes"}),
        ({"metrics": {"circuit": [(1.0, 1.0), (4.0, 1.0)], "closed": SHUT}}, {"circuit_opens_and_closes"}),
        ({"healed": 7.0}, {"monitor_names"}),
        ({"healed": 13.0}, {"recovers"}),
        ({"injected": -1.0, "healed": 13.0}, {"no_5xx_outside", "recovers"}),
    ],
)
def test_what_the_evidence_does_not_reach_is_unknown(missing, invariants):
    found = verdicts(evidence(**missing))
    assert invariants <= {name for name, verdict in found.items() if verdict.judgement == "unknown"}


def test_a_run_without_an_order_proves_nothing_about_orders():
    found = verdicts(evidence(requests=[], orders={}, due=0))
    assert found["no_loss"].judgement == found["one_change"].judgement == "unknown"
    assert worst(list(found.values())) == "unknown"


@pytest.mark.parametrize(
    "bites", [[], [Bitten("latency", False, "nobody suffered")], [BIT, Bitten("x", False, "")]]
)
def test_a_fault_that_did_not_bite_proves_nothing(bites):
    found = verdicts(evidence(bites=bites))
    assert {verdict.judgement for verdict in found.values()} == {"unknown"}


def test_what_is_broken_is_broken_even_if_the_fault_did_not_bite():
    made = spoiled("no fence")
    made.bites = []
    assert verdicts(made)["one_change"].judgement == "invalid"


def test_a_generator_that_lagged_proves_nothing_about_latency():
    made = spoiled("one answer late")
    for request in made.requests:
        request.sent = request.due + 0.06
    assert verdicts(made)["answer_within"].judgement == "unknown"


@pytest.mark.parametrize("bug", BUGS)
def test_where_the_generator_lagged_only_promises_of_time_are_in_doubt(bug):
    """A machine that stands still makes everything late, but loses nothing and does nothing twice."""
    invariant, _ = BUGS[bug]
    made = spoiled(bug)
    for request in made.requests:
        request.sent = request.due + 0.06
    timed = {"answer_within", "no_5xx_outside", "no_errors", "recovers", "monitor_names"}
    assert verdicts(made)[invariant].judgement == ("unknown" if invariant in timed else "invalid")


def test_a_lost_answer_may_have_made_an_order():
    """Neither lost nor out of nothing: the client knows that it doesn't know."""
    made = evidence()
    made.requests[49].status = made.requests[49].order = 0
    made.requests[49].error = "BrokenOffError"
    verdict = verdicts(made)["no_loss"]
    assert verdict.judgement == "valid"
    assert "1 recovered" in verdict.reason


def test_without_a_monitor_nobody_asks_what_it_says():
    assert "monitor_names" not in verdicts(evidence(monitor=None))


def test_a_judge_that_stumbles_has_proved_nothing():
    found = judge(evidence(), {"circuit_opens_and_closes": {"metric": []}})
    assert found[0].judgement == "unknown"
    assert "judge failed" in found[0].reason

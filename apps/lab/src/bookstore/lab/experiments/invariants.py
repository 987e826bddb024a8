"""The invariants: what must never be otherwise. Each is a pure function of the evidence.

`unknown` is said wherever the evidence doesn't reach: it is never counted as a success.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bookstore.lab.experiments.evidence import Judgement, Verdict
from bookstore.lab.load.ops import ORDERS
from bookstore.lab.load.summary import believed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bookstore.lab.experiments.evidence import Evidence
    from bookstore.lab.load.history import Request

FINAL = frozenset({"Validated", "Rejected", "Failed", "Cancelled"})
MOST_EXAMPLES = 20
SERVED = 0.95
"""Of all requests from a moment on, when customers count as served again."""
SERVER_ERROR = 500
PROBE_INTERVAL = 5.0
"""Seconds between two looks of the monitor under `bookstore up`."""
INTERVALS = 2.0
"""How many of them it has to notice something."""


def no_loss(evidence: Evidence) -> Verdict:
    """No acknowledged order is lost: each is there in the end, and final."""
    name, acknowledged = "no_loss", evidence.acknowledged
    if evidence.orders is None:
        return _unknown(name, "the orders couldn't be read back")
    if not acknowledged:
        return _unknown(name, "no order was acknowledged, so none could be lost")
    lost = sorted(number for number in acknowledged if _status(evidence, number) == "missing")
    if lost:
        return _invalid(name, f"{len(lost)} of {len(acknowledged)} acknowledged orders are gone", lost)
    stuck = sorted(number for number in acknowledged if _status(evidence, number) not in FINAL)
    if stuck:
        return _invalid(
            name, f"{len(stuck)} of {len(acknowledged)} acknowledged orders never came to an end", stuck
        )
    asked = sum(request.op in ORDERS for request in evidence.requests)
    doubtful = sum(request.op in ORDERS and request.outcome != "ok" for request in evidence.requests)
    unasked = len(evidence.orders) - len(acknowledged)
    if unasked > doubtful:
        return _invalid(
            name, f"{unasked} orders that nobody was told of, and only {doubtful} answers that were lost"
        )
    return _valid(
        name,
        f"{asked} attempts, {len(acknowledged)} acknowledged, all of them final; "
        f"{unasked} recovered whose answer was lost",
    )


def no_duplicate(evidence: Evidence) -> Verdict:
    """No order is processed twice: the supplier did at most one effect for each."""
    name = "no_duplicate"
    if evidence.effects is None or evidence.orders is None:
        return _unknown(name, "the supplier's counts couldn't be read")
    ours = {number: effect for number, effect in evidence.effects.items() if number in evidence.orders}
    if not ours:
        return _unknown(name, "the supplier did nothing for any order")
    twice = sorted(number for number, effect in ours.items() if effect.effects > 1)
    if twice:
        return _invalid(name, f"{len(twice)} orders had more than one effect at the supplier", twice)
    repeated = sum(effect.calls > 1 for effect in ours.values())
    return _valid(name, f"{len(ours)} orders, one effect each; {repeated} were asked for more than once")


def one_change(evidence: Evidence) -> Verdict:
    """No order changes its state twice, and its history says what its state is."""
    name = "one_change"
    if not evidence.orders:
        return _unknown(name, "there are no orders to look at")
    wrong = sorted(
        number
        for number, fate in evidence.orders.items()
        if fate.status != "missing"
        and (len(fate.changes) > 1 or (fate.changes or ["Processing"])[-1] != fate.status)
    )
    if wrong:
        return _invalid(name, f"{len(wrong)} orders changed twice, or aren't what their history says", wrong)
    counts = Counter(fate.status for fate in evidence.orders.values())
    return _valid(name, ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))


def stock_adds_up(evidence: Evidence) -> Verdict:
    """Copies that went are those of validated orders, to the piece, and nothing is held any more."""
    name, stock = "stock_adds_up", evidence.stock
    if stock is None or evidence.orders is None:
        return _unknown(name, "the stock couldn't be read")
    if evidence.drained is None:
        return _unknown(name, "work was still left, so stock may rightly be held")
    sold = sum(fate.status == "Validated" for fate in evidence.orders.values())
    gone = stock.copies - stock.quantity
    text = f"{stock.copies} copies, {sold} sold, {stock.quantity} left, {stock.reserved} held"
    if not sold:
        return _unknown(name, f"{text}: nothing was sold")
    return _valid(name, text) if gone == sold and not stock.reserved else _invalid(name, text)


def answer_within(evidence: Evidence, seconds: float = 2.0) -> Verdict:
    """Every answer comes in time, from the moment when its request was due. The maximum counts."""
    name = "answer_within"
    slow = [r for r in evidence.requests if r.latency is None or r.latency > seconds]
    slowest = max((r.latency for r in evidence.requests if r.latency is not None), default=0.0)
    text = f"slowest {slowest:.3f} s of {len(evidence.requests)} answers; {seconds:g} s are promised"
    if doubt := believed(evidence.requests, evidence.due - len(evidence.requests)):
        return _unknown(name, f"{doubt}; {text}")
    if slow:
        return _invalid(name, f"{len(slow)} answers came late or never; {text}", [r.number for r in slow])
    return _valid(name, text)


def no_5xx_outside(evidence: Evidence, grace: float = 5.0) -> Verdict:
    """Nobody is turned away but under the fault, until all is well again, and `grace` seconds longer."""
    name = "no_5xx_outside"
    end = evidence.healed + (evidence.well_again or 0.0) + grace
    outside = [
        request
        for request in evidence.requests
        if request.done is not None and (request.done < evidence.injected or request.due > end)
    ]
    if not outside:
        return _unknown(name, "no request was due outside of the fault's window")
    bad = [request for request in outside if request.outcome != "ok"]
    if bad:
        statuses = Counter(str(request.status or request.error) for request in bad)
        shown = ", ".join(f"{count} x {status}" for status, count in statuses.items())
        return _invalid(name, f"{len(bad)} of {len(outside)}: {shown}", [r.number for r in bad])
    return _valid(name, f"{len(outside)} requests outside of the window, none turned away")


def no_errors(evidence: Evidence, share: float = 0.0) -> Verdict:
    """Nobody is turned away at all, not even under the fault; or at most a `share` of all."""
    name = "no_errors"
    if not evidence.requests:
        return _unknown(name, "nothing was asked")
    bad = [request for request in evidence.requests if request.outcome != "ok"]
    text = f"{len(bad)} of {len(evidence.requests)} were turned away or broken off; {share:.1%} are allowed"
    if len(bad) > share * len(evidence.requests):
        return _invalid(name, text, [request.number for request in bad])
    return _valid(name, text)


def recovers(evidence: Evidence, within: float = 30.0) -> Verdict:
    """After the fault customers are served again, nothing is left to do, and every part is well, in time."""
    name = "recovers"
    after = [r for r in evidence.requests if r.due >= evidence.healed]
    if not after:
        return _unknown(name, "no request was due after the fault")
    served = _served_from(after)
    if served is None:
        return _invalid(name, "customers were still turned away in the end")
    back = served.due - evidence.healed
    if evidence.drained is None:
        return _invalid(name, "work was still left when the time for it was up")
    if evidence.well_again is None:
        return _invalid(name, "not every part was well again when the time for it was up")
    text = (
        f"customers served again after {back:.1f} s, all work done after {evidence.drained:.1f} s, "
        f"every part well after {evidence.well_again:.1f} s; {within:g} s are allowed"
    )
    late = max(back, evidence.drained, evidence.well_again) > within
    return _invalid(name, text) if late else _valid(name, text)


def _served_from(after: Sequence[Request]) -> Request | None:
    """The first request from which on (nearly) all got what they asked for."""
    for number, request in enumerate(after):
        rest = after[number:]
        if request.outcome == "ok" and sum(r.outcome == "ok" for r in rest) >= SERVED * len(rest):
            return request
    return None


def circuit_opens_and_closes(evidence: Evidence, metric: str, closed: str = "") -> Verdict:
    """What was watched as `metric` was 0 before the fault, above it under the fault, and is 0 in the end.

    Another one, `closed`, is 1 in the end: a circuit that is half open isn't closed.
    """
    name = "circuit_opens_and_closes"
    samples = evidence.metrics.get(metric, [])
    before = [value for moment, value in samples if moment < evidence.injected]
    under = [(moment, value) for moment, value in samples if moment >= evidence.injected]
    ends = evidence.metrics.get(closed, []) if closed else [(evidence.ended, 1.0)]
    if not before or not under or not ends:
        return _unknown(name, f"{metric} wasn't seen often enough")
    if max(before) > 0:
        return _unknown(name, f"{metric} was open before the fault")
    opened = next((moment for moment, value in under if value > 0), None)
    if opened is None:
        return _invalid(name, f"{metric} never opened")
    if under[-1][1] > 0 or ends[-1][1] != 1:
        return _invalid(name, f"{metric} opened and never closed again")
    last = max(moment for moment, value in under if value > 0)
    return _valid(
        name,
        f"{metric} opened {opened - evidence.injected:.1f} s after the fault began, "
        f"and was last seen open {last - evidence.healed:+.1f} s from the healing",
    )


def retries_bounded(evidence: Evidence, calls_per_order: float = 3.0) -> Verdict:
    """A failing supplier isn't buried under retries: on average so many calls an order, at most."""
    name = "retries_bounded"
    if evidence.effects is None or evidence.orders is None:
        return _unknown(name, "the supplier's counts couldn't be read")
    calls = [effect.calls for number, effect in evidence.effects.items() if number in evidence.orders]
    if not calls:
        return _unknown(name, "the supplier was never called")
    mean = sum(calls) / len(calls)
    text = f"{sum(calls)} calls for {len(calls)} orders, {mean:.2f} each; {calls_per_order:g} are allowed"
    return _valid(name, text) if mean <= calls_per_order else _invalid(name, text)


def monitor_names(evidence: Evidence, service: str, state: str, intervals: float = INTERVALS) -> Verdict:
    """The monitor names the right state of a service within two of its intervals, and later HEALTHY again."""
    name = "monitor_names"
    if evidence.monitor is None:
        return _unknown(name, "there is no monitor in this system")
    samples = evidence.monitor.get(service, [])
    under = [(at, said) for at, said in samples if evidence.injected <= at <= evidence.healed]
    limit = intervals * PROBE_INTERVAL
    if evidence.healed - evidence.injected < limit:
        return _unknown(name, f"the fault was over before {limit:g} s, the time that the monitor has")
    seen = next((at - evidence.injected for at, said in under if said == state), None)
    if seen is None or seen > limit:
        told = sorted({said for _, said in under}) or ["nothing"]
        return _invalid(name, f"within {limit:g} s {service} should be {state}; said was {', '.join(told)}")
    if samples[-1][1] != "HEALTHY":
        return _invalid(name, f"in the end {service} was still called {samples[-1][1]}")
    return _valid(name, f"{service} was called {state} after {seen:.1f} s, and HEALTHY in the end")


INVARIANTS: Mapping[str, Callable[..., Verdict]] = {
    function.__name__: function
    for function in (
        no_loss,
        no_duplicate,
        one_change,
        stock_adds_up,
        answer_within,
        no_5xx_outside,
        no_errors,
        recovers,
        circuit_opens_and_closes,
        retries_bounded,
        monitor_names,
    )
}


TIMED = frozenset({"answer_within", "no_5xx_outside", "no_errors", "recovers", "monitor_names"})
"""Promises that any system breaks whose machine stands still."""


def judge(evidence: Evidence, wanted: Mapping[str, Mapping[str, float | str]]) -> list[Verdict]:
    """All verdicts. Where a fault didn't bite, nothing is proved: what would be valid is unknown.

    Where the generator itself was late, the machine was, so that a promise of time may be broken by that
    alone: then it is unknown too. Without a monitor in the system nobody asks what it says.
    """
    verdicts: list[Verdict] = []
    doubt = believed(evidence.requests, evidence.due - len(evidence.requests))
    toothless = [bite for bite in evidence.bites if not bite.bit]
    for name, parameters in wanted.items():
        if name == "monitor_names" and evidence.monitor is None:
            continue
        try:
            verdict = INVARIANTS[name](evidence, **parameters)
        except Exception as error:  # noqa: BLE001 - a judge who stumbles has proved nothing
            verdict = _unknown(name, f"the judge failed: {type(error).__name__}: {error}")
        if verdict.judgement == "valid" and (toothless or not evidence.bites):
            why = toothless[0].proof if toothless else "no fault was injected"
            verdict = _unknown(name, f"the fault didn't bite ({why}); otherwise: {verdict.reason}")
        elif verdict.judgement == "invalid" and doubt and name in TIMED:
            verdict = _unknown(name, f"{doubt}; otherwise: {verdict.reason}")
        verdicts.append(verdict)
    return verdicts


def _status(evidence: Evidence, number: int) -> str:
    fate = (evidence.orders or {}).get(number)
    return fate.status if fate else "missing"


def _verdict(name: str, judgement: Judgement, reason: str, examples: Iterable[int] = ()) -> Verdict:
    return Verdict(name, judgement, reason, list(examples)[:MOST_EXAMPLES])


def _valid(name: str, reason: str) -> Verdict:
    return _verdict(name, "valid", reason)


def _invalid(name: str, reason: str, examples: Iterable[int] = ()) -> Verdict:
    return _verdict(name, "invalid", reason, examples)


def _unknown(name: str, reason: str) -> Verdict:
    return _verdict(name, "unknown", reason)

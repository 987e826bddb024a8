"""Where orders are taken in: a call is counted, and later, if nothing fails before that, answered."""

from typing import NamedTuple

import msgspec

from bookstore.contracts.supplier import ValidationRequest, Verdict
from bookstore.service.problem import Problem
from bookstore.supplier.model import idempotency_key, judge
from bookstore.supplier.tally import KeyOfAnother, Tally

_encode = msgspec.json.Encoder().encode


class Taken(NamedTuple):
    """A call that was counted and isn't answered yet."""

    order: ValidationRequest
    key: str
    named: bool
    """Whether the caller gave the key; else it is the order's id."""


class Answer(NamedTuple):
    """A verdict, and whether it had been reached before."""

    verdict: Verdict
    replay: bool

    @property
    def headers(self) -> dict[str, str]:
        """What an answer says beside its body."""
        return {"Idempotent-Replay": "true"} if self.replay else {}

    @property
    def body(self) -> bytes:
        """The verdict as JSON."""
        return _encode(self.verdict)


class Desk:
    """Takes orders in and settles them."""

    def __init__(self, tally: Tally, not_supplied: frozenset[str]) -> None:
        self._tally = tally
        self._not_supplied = not_supplied

    def take(self, order: ValidationRequest, header: str | None) -> Taken:
        """Count a call; `header` is its Idempotency-Key.

        Raises:
            Problem: 400 for a key that is none, 503 if the call can't be kept.
        """
        key = idempotency_key(header, order)
        if key is None:
            raise Problem(400, "validation", "Idempotency-Key: must be 1 to 255 visible ASCII characters")
        try:
            self._tally.arrived(str(order.order_id))
        except OSError as error:
            raise _no_room(error) from error
        return Taken(order, key, named=header is not None)

    def settle(self, taken: Taken) -> Answer:
        """Reach the verdict, once for each key: a key that was used gets the verdict that it got then.

        Without a key an order that says something else than before, so that it is judged otherwise, is
        another piece of work: nobody is told of 1,001 pieces what was found of one.

        If the process dies before the verdict is kept, nothing was done, and the next call does it. If it
        dies afterwards, it was done, and the next call is told so.

        Raises:
            Problem: 422 if the key was used for another order, 503 if the verdict can't be kept.
        """
        order, key, named = taken
        name = str(order.order_id)
        judgement = judge(order, self._not_supplied)
        try:
            effect = self._tally.done(key, name)
            if effect is not None and not named and (effect.status, effect.reason) != judgement:
                key = f"{name}: {judgement.reason or judgement.status}"
                effect = self._tally.done(key, name)
            replay = effect is not None
            if effect is None:
                effect = self._tally.do(key, name, judgement)
        except KeyOfAnother as error:
            raise Problem(
                422, "idempotency-key", "this Idempotency-Key was used for another order"
            ) from error
        except OSError as error:
            raise _no_room(error) from error
        verdict = Verdict(order_id=order.order_id, status=effect.status, reason=effect.reason)
        return Answer(verdict, replay)


def _no_room(error: OSError) -> Problem:
    return Problem(503, "not-kept", f"the supplier can't keep what it does: {error.strerror}")

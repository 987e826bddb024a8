"""What a change of a contract does to those on the other side: one table.

A request is written by them and read by us, an answer the other way round. So what makes a request hold less
(a field more that is needed, a bound drawn tighter) breaks those who send it, and what makes an answer hold
more (one more value, a field that may be missing) breaks those who read it.

Clients are taken to be as clients should be: they pass over fields, headers and operations that they don't
know, and take a status they don't know for the first of its class (RFC 9110, 15). What no rule knows breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal


class Effect(IntEnum):
    """What a change does to those on the other side; the higher, the worse."""

    NEUTRAL = 0
    ADDITIVE = 1
    BREAKING = 2

    @property
    def word(self) -> str:
        """As it is written."""
        return self.name.lower()


Direction = Literal["request", "answer", "both"]
"""Who writes what is described: they, we, or both."""


@dataclass(frozen=True)
class Rule:
    """One kind of change, and what it does in a request and in an answer."""

    name: str
    request: Effect
    answer: Effect
    words: str

    def effect(self, direction: Direction) -> Effect:
        """What it does there."""
        if direction == "both":
            return max(self.request, self.answer)
        return self.request if direction == "request" else self.answer


_N, _A, _B = Effect.NEUTRAL, Effect.ADDITIVE, Effect.BREAKING

RULES: Final = {
    rule.name: rule
    for rule in (
        # Operations. What stands twice is the same for both sides.
        Rule("operation-removed", _B, _B, "is gone"),
        Rule("operation-added", _A, _A, "is new"),
        Rule("operation-deprecated", _A, _A, "is deprecated now"),
        Rule("access-tightened", _B, _B, "callers who were let in by {before} aren't any more"),
        Rule("access-loosened", _A, _A, "callers are let in by {after} too"),
        Rule("access-changed", _B, _B, "the scheme is another one: {before}, now {after}"),
        # What is sent.
        Rule("parameter-removed", _B, _B, "is gone, and refused as unknown"),
        Rule("parameter-added", _A, _A, "is new, and may be left out"),
        Rule("parameter-added-required", _B, _B, "is new, and needed"),
        Rule("parameter-became-required", _B, _B, "is needed now"),
        Rule("parameter-became-optional", _A, _A, "may be left out now"),
        Rule("body-removed", _B, _B, "takes no body any more"),
        Rule("body-added", _A, _A, "takes a body now, which may be left out"),
        Rule("body-added-required", _B, _B, "needs a body now"),
        Rule("body-became-required", _B, _B, "needs its body now"),
        Rule("body-became-optional", _A, _A, "can do without its body now"),
        # What is answered.
        Rule("success-removed", _B, _B, "isn't answered any more"),
        Rule("success-added", _A, _A, "may be answered too"),
        Rule("failure-removed", _A, _A, "isn't answered any more"),
        Rule("failure-added", _A, _A, "may be answered too"),
        Rule("header-removed", _B, _B, "is gone"),
        Rule("header-added", _A, _A, "is new"),
        Rule("header-became-required", _A, _A, "is always there now"),
        Rule("header-became-optional", _B, _B, "may be missing now"),
        # Either.
        Rule("media-type-removed", _B, _B, "isn't spoken any more"),
        Rule("media-type-added", _A, _A, "is spoken too"),
        Rule("shape-removed", _B, _B, "is gone"),
        Rule("shape-added", _A, _A, "is new"),
        Rule("field-removed", _B, _B, "is gone"),
        Rule("field-added", _A, _A, "is new, and may be missing"),
        Rule("field-added-required", _B, _A, "is new, and always there"),
        Rule("field-became-required", _B, _A, "is always there now"),
        Rule("field-became-optional", _A, _B, "may be missing now"),
        Rule("unknown-fields-refused", _B, _A, "holds no fields but the named ones any more"),
        Rule("unknown-fields-taken", _A, _A, "may hold other fields than the named ones"),
        Rule("type-widened", _A, _B, "may be {after}, not only {before}"),
        Rule("type-narrowed", _B, _A, "is only {after}, no more {before}"),
        Rule("type-changed", _B, _B, "is {after}, no more {before}"),
        Rule("value-added", _A, _B, "may be {after} too"),
        Rule("value-removed", _B, _A, "is never {before} any more"),
        Rule("range-widened", _A, _B, "reaches further: {before}, now {after}"),
        Rule("range-narrowed", _B, _A, "reaches less far: {before}, now {after}"),
        Rule("constraint-added", _B, _A, "is held to {after}"),
        Rule("constraint-dropped", _A, _B, "isn't held to {before} any more"),
        Rule("constraint-changed", _B, _B, "is held to {after}, no more to {before}"),
        Rule("alternative-added", _A, _B, "may be {after} too"),
        Rule("alternative-removed", _B, _A, "is never {before} any more"),
        Rule("default-changed", _B, _N, "means {after} when it is left out, no more {before}"),
        Rule("deprecated", _A, _A, "is deprecated now"),
        Rule("wording-changed", _N, _N, "is told in other words ({after})"),
        Rule("changed-otherwise", _B, _B, "has changed in a way that no rule knows ({after})"),
    )
}

"""What was seen in answers, and whether it is what a guide says. No I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bookstore.lab.load.wire import Answer
    from bookstore.lab.scenarios.guide import Check

LONGEST = 90
MARGIN = 24
MOST_SHOWN = 6


@dataclass(frozen=True)
class Seen:
    """An answer, and how long it took; without one nobody was there."""

    answer: Answer | None
    seconds: float


@dataclass(frozen=True)
class Observation:
    """One thing that a guide says, beside what was seen."""

    says: str
    seen: str
    holds: bool


def filled(value: Any, variables: Mapping[str, Any]) -> Any:
    """A value with its variables: text that is nothing but one keeps the variable's kind."""
    if isinstance(value, str):
        name = value[1:-1]
        if value[:1] == "{" and value[-1:] == "}" and name in variables:
            return variables[name]
        for known, replacement in variables.items():
            value = value.replace(f"{{{known}}}", str(replacement))
        return value
    if isinstance(value, dict):
        return {key: filled(each, variables) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [filled(each, variables) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def field_of(body: bytes, path: str) -> Any:
    """A field of a JSON body: `services.books`, `0.title`; None where there is none."""
    try:
        found: Any = msgspec.json.decode(body)
        for name in path.split("."):
            found = cast("Any", found[int(name)] if isinstance(found, list) else found[name])
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        return None
    return found


def observe(check: Check, answers: Sequence[Seen], variables: Mapping[str, Any]) -> Observation:
    """Hold what a guide says against the answers."""
    values = [_looked_at(check, seen, variables) for seen in _which(check, answers)]
    holds = bool(values) and _holds(check, values, variables)
    if check.has is not None:
        wanted = filled(check.has, variables)
        values = [_excerpt(str(value), wanted) for value in values]
    return Observation(filled(check.says, variables), _shown(values), holds)


def _which(check: Check, answers: Sequence[Seen]) -> Sequence[Seen]:
    places = {"first": slice(0, 1), "second": slice(1, 2), "last": slice(-1, None)}
    return answers[places.get(check.which, slice(None))]


def _looked_at(check: Check, seen: Seen, variables: Mapping[str, Any]) -> Any:
    if check.look == "seconds":
        return round(seen.seconds, 3)
    if seen.answer is None:
        return "nobody there"
    if check.look == "status":
        return seen.answer.status
    if check.look == "header":
        return seen.answer.headers.get(check.field.lower())
    if check.look == "field":
        return field_of(seen.answer.body, filled(check.field, variables))
    return seen.answer.body.decode(errors="replace")


def _holds(check: Check, values: Sequence[Any], variables: Mapping[str, Any]) -> bool:
    if check.distinct is not None:
        return len({str(value) for value in values}) >= check.distinct
    if check.exactly is not None:
        return Counter(str(value) for value in values) == Counter(check.exactly)
    fits = [_fits(check, value, variables) for value in values]
    return any(fits) if check.which == "any" else all(fits)


def _fits(check: Check, value: Any, variables: Mapping[str, Any]) -> bool:
    if check.has is not None:
        return filled(check.has, variables) in str(value)
    if check.one_of is not None:
        return value in check.one_of
    if check.below is not None or check.above is not None:
        number = isinstance(value, int | float)
        low = check.above is None or (number and value > check.above)
        return number and low and (check.below is None or value < check.below)
    if check.equals is None:
        return value is not None
    return bool(value == filled(check.equals, variables))


def _excerpt(text: str, wanted: str) -> str:
    """The surroundings of what was looked for; the beginning where it isn't."""
    place = text.find(wanted)
    if place < 0:
        return text
    begin = max(0, place - MARGIN)
    return f"{'…' if begin else ''}{text[begin : place + len(wanted) + MARGIN]}"


def _shown(values: Sequence[Any]) -> str:
    if not values:
        return "no answer"
    counts = Counter(str(value) for value in values)
    parts = [text if count == 1 else f"{count} x {text}" for text, count in counts.most_common(MOST_SHOWN)]
    if len(counts) > MOST_SHOWN:
        parts.append(f"and {len(counts) - MOST_SHOWN} others")
    whole = ", ".join(parts).replace("\n", " ")
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 1]}…"

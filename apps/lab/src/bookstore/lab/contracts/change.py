"""One change of a contract: by which rule, where, and what it does there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bookstore.lab.contracts.rules import RULES, Direction, Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SHOWN_PLACES = 3
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Difference:
    """What differs between two descriptions of one thing, wherever that is used.

    Attributes:
        rule: The name of its rule.
        path: Where in the thing: `BookV1.price`, or what follows the place that it is used in.
        before: What was there, in words.
        after: What is there now, in words.
        shared: Whether the path is that of a shape with a name, which may be used in many places.
    """

    rule: str
    path: str = ""
    before: str = ""
    after: str = ""
    shared: bool = False


@dataclass(frozen=True)
class Change:
    """A difference with all places that it shows in."""

    difference: Difference
    direction: Direction
    places: tuple[str, ...]

    @property
    def effect(self) -> Effect:
        """What it does to those on the other side."""
        return RULES[self.difference.rule].effect(self.direction)

    @property
    def where(self) -> str:
        """Its place in words."""
        if not self.difference.shared:
            return ", ".join(filter(None, (self.places[0], self.difference.path)))
        shown = ", ".join(self.places[:_SHOWN_PLACES])
        more = len(self.places) - _SHOWN_PLACES
        return f"{self.difference.path} in {shown}" + (f" and {more} more" if more > 0 else "")

    @property
    def words(self) -> str:
        """What happened, in words."""
        difference = self.difference
        return RULES[difference.rule].words.format(before=difference.before, after=difference.after)


def gather(found: Iterable[tuple[Difference, Direction, str]]) -> list[Change]:
    """Each difference once with all places that it shows in, the worst first."""
    places: dict[tuple[Difference, Direction, str], list[str]] = {}
    for difference, direction, place in found:
        rows = places.setdefault((difference, direction, "" if difference.shared else place), [])
        if place not in rows:
            rows.append(place)
    changes = [
        Change(difference, direction, tuple(rows)) for (difference, direction, _), rows in places.items()
    ]
    return sorted(changes, key=lambda change: -change.effect)


def shown(value: object) -> str:
    """A value as a reader would write it."""
    text = value if isinstance(value, str) and " " in value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def wording(before: dict[str, object], after: dict[str, object], keys: Iterable[str]) -> Iterator[Difference]:
    """What is told in other words, in one."""
    told = [key for key in keys if before.get(key) != after.get(key)]
    if told:
        yield Difference("wording-changed", after=", ".join(sorted(told)))

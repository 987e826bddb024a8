"""Which version a change asks for.

From 1.0.0 on a breaking change asks for the next major version, an additive one for the next minor, any other
for the next patch: what was released as 1.4.0 stays what 1.4.0 is. Before that the second number is the major
one (a member's bounds say `>=0.1,<0.2`): a breaking change asks for the next minor version, any other for the
next patch.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from bookstore.lab.contracts.rules import Effect

Step = Literal["major", "minor", "patch"]


class Version(NamedTuple):
    """Three numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return ".".join(map(str, self))


def read_version(text: str) -> Version | None:
    """A version, if the text is one: three numbers, and nothing else."""
    match = re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", text)
    return Version(*map(int, match.groups())) if match else None


def step(before: Version, effect: Effect) -> Step:
    """The step that a change of this effect asks for."""
    steps: tuple[Step, Step, Step] = (
        ("patch", "minor", "major") if before.major else ("patch", "patch", "minor")
    )
    return steps[effect]


def demanded(before: Version, effect: Effect) -> Version:
    """The lowest version that may carry a change of this effect."""
    match step(before, effect):
        case "major":
            return Version(before.major + 1, 0, 0)
        case "minor":
            return Version(before.major, before.minor + 1, 0)
        case "patch":
            return Version(before.major, before.minor, before.patch + 1)

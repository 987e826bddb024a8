"""When each request is due. Nothing that happens later moves it: that is the open model."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Arrivals = Literal["constant", "poisson"]


def starts(rate: float, seconds: float, arrivals: Arrivals, seed: int) -> list[float]:
    """The moments at which requests are due, in seconds from the beginning, in order."""
    count = round(rate * seconds)
    if arrivals == "constant":
        return [number / rate for number in range(count)]
    chance = random.Random(seed)  # noqa: S311 - repeatable is the point
    # A Poisson process seen through its count: that many moments, each anywhere.
    return sorted(chance.random() * seconds for _ in range(count))


def kinds(mix: Mapping[str, float], count: int, seed: int) -> list[str]:
    """What each request is, drawn by the weights of the mix."""
    chance = random.Random(seed + 1)  # noqa: S311
    return chance.choices(list(mix), weights=list(mix.values()), k=count)


def parse_mix(text: str) -> dict[str, float]:
    """A mix as it is typed: `browse=5,book=4,order=1`.

    Raises:
        ValueError: a part isn't a name with a positive weight.
    """
    mix: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        mix[name] = float(weight or 1)
        if not 0 < mix[name] < math.inf:
            raise ValueError(f"the weight of {name!r} must be a number above 0")
    return mix

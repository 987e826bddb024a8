"""Settings are checked where they are given, and the message names the field."""

from inspect import iscoroutinefunction
from math import isfinite
from typing import Any, Final

LATER: Final[Any] = None
"""The default of fields that `__post_init__` sets: msgspec asks for every field that has none."""


def assign(frozen: object, **values: object) -> None:
    """Set attributes of frozen settings: for `__post_init__`, and for what a policy changes in itself."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


def require(ok: bool, field: str, rule: str, value: object) -> None:  # noqa: FBT001 - an assertion with a better message
    """Raise `ValueError` that names the field unless `ok`."""
    if not ok:
        msg = f"{field} must be {rule}, not {value!r}"
        raise ValueError(msg)


def count(field: str, value: object, *, least: int = 1) -> None:
    """A whole number, at least `least`."""
    ok = isinstance(value, int) and not isinstance(value, bool) and value >= least
    require(ok, field, f"a whole number of at least {least}", value)
    require(_number(value) is not None, field, "a number that can be reckoned with", value)


def _number(value: object) -> float | None:
    """A finite number, or `None` where there is another value."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return value if isfinite(value) else None
    except OverflowError:  # a whole number that no float can hold, as a file may have it
        return None


def seconds(field: str, value: object, *, zero: bool = False) -> None:
    """A finite number of seconds, more than zero (or also zero)."""
    amount = _number(value)
    ok = amount is not None and (amount >= 0 if zero else amount > 0)
    require(ok, field, "a finite number of seconds, " + ("not negative" if zero else "more than 0"), value)


def positive(field: str, value: object, *, zero: bool = False) -> None:
    """A finite number more than zero (or also zero)."""
    amount = _number(value)
    ok = amount is not None and (amount >= 0 if zero else amount > 0)
    require(ok, field, "a finite number, " + ("not negative" if zero else "more than 0"), value)


def share(field: str, value: object, *, zero: bool = False, whole: bool = True) -> None:
    """A share of one: more than zero (or also zero), at most one (or less)."""
    amount = _number(value)
    ok = amount is not None and 0 <= amount <= 1 and (zero or amount > 0) and (whole or amount < 1)
    low, high = "from 0" if zero else "more than 0", "to 1" if whole else "and less than 1"
    require(ok, field, f"{low} {high}", value)


def kind(field: str, value: object, cls: type, *, optional: bool = False) -> None:
    """An object of a class (or none)."""
    ok = isinstance(value, cls) or (optional and value is None)
    require(ok, field, f"a {cls.__name__}", value)


def function(field: str, value: object) -> None:
    """Something to call that answers at once, or none."""
    require(value is None or callable(value), field, "a function", value)
    plain(field, value)


def plain(field: str, value: object) -> None:
    """Not an `async` function: where nobody awaits, what it returns passes for true, and for another key."""
    require(not iscoroutinefunction(value), field, "a plain function, not an async one", value)


def text(field: str, value: object) -> None:
    """A string."""
    require(isinstance(value, str), field, "a string", value)


def clock(value: object) -> None:
    """A clock, or none."""
    if value is not None:
        methods("clock", value, "a clock", "now")


def methods(field: str, value: object, what: str, *names: str) -> None:
    """An object that has these methods. Its class doesn't do."""
    ok = not isinstance(value, type) and all(callable(getattr(value, name, None)) for name in names)
    require(ok, field, what, value)


def one_of(field: str, value: object, *choices: object) -> None:
    """One of the named choices."""
    require(value in choices, field, "one of " + ", ".join(map(repr, choices)), value)

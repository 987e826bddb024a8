"""Policies from plain dictionaries, such as TOML or JSON give.

The fields of the dataclass are the schema: a key that is no field is an error, a dictionary becomes the
settings class that the field's annotation names, and a bare value stands for the first field.
`msgspec.convert` does the same for whoever has it; this needs the standard library alone.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def build(cls: type[T], settings: object, path: str) -> T:
    """Make a `cls` from plain settings. Every `ValueError` begins with the path of what is wrong."""
    known = {one.name: one for one in fields(cast("Any", cls)) if one.init and one.name != "clock"}
    if not isinstance(settings, Mapping):
        settings = {_first(cls): settings}
    spelled: Mapping[str, str] = getattr(cls, "spelled", {})
    given = {spelled.get(key, key): value for key, value in cast("Mapping[str, Any]", settings).items()}
    for key in given:
        if key not in known:
            msg = f"{path}.{key}: no such setting; there are {', '.join(known)}"
            raise ValueError(msg)
    hints = get_type_hints(cls)
    values = {key: _value(hints[key], value, f"{path}.{key}") for key, value in given.items()}
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        msg = f"{path}: {error}"
        raise ValueError(msg) from error


def differ(one: object, other: object) -> bool:
    """Whether two policies, or two settings of theirs, are not the same. State doesn't count."""
    if type(one) is not type(other):
        return True
    if not is_dataclass(one) or isinstance(one, type):
        return one != other
    return any(
        differ(getattr(one, each.name), getattr(other, each.name))
        for each in fields(one)
        if each.init and each.compare
    )


def settings_of(policy: object) -> dict[str, Any]:
    """The settings of a policy, by name. Its clock is none of them."""
    return {
        one.name: getattr(policy, one.name) for one in fields(cast("Any", policy)) if one.init and one.compare
    }


def _first(cls: type[Any]) -> str:
    """The first field of the class's own: neither the name nor the clock that every policy has."""
    return next(one.name for one in fields(cls) if one.name not in ("name", "clock"))


def _value(hint: Any, value: object, path: str) -> object:
    nested = _nested(hint)
    if not nested or not isinstance(value, Mapping):
        return value
    given = dict(cast("Mapping[str, Any]", value))
    cls = nested[0]
    if len(nested) > 1:  # `kind` tells which of several classes is meant
        kind = given.pop("kind", None)
        found = [one for one in nested if one.__name__.lower() == kind]
        if not found:
            names = ", ".join(one.__name__.lower() for one in nested)
            msg = f"{path}.kind: must be one of {names}, not {kind!r}"
            raise ValueError(msg)
        cls = found[0]
    return build(cls, given, path)


def _nested(hint: Any) -> list[type[Any]]:
    """The settings classes among the alternatives of an annotation."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return [one for one in options if isinstance(one, type) and is_dataclass(one)]

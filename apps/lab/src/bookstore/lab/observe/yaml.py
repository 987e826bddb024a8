"""Plain data as YAML that people like to read. JSON would do for the tools."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What needs no quotes and can't be taken for a number, a date, a truth or nothing at all.
_PLAIN = re.compile(r"[A-Za-z_/][\w./@%() <>=-]*[\w)]|[A-Za-z]")
_MEANS_SOMETHING_ELSE = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def dump(data: Mapping[str, Any], said: str = "") -> str:
    """A document; `said` stands at its top, as a comment."""
    return "\n".join([*(f"# {line}" for line in said.splitlines()), *_lines(data), ""])


def _lines(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in cast("dict[str, Any]", data).items():
            yield from _entry(f"{_scalar(key)}:", value)
    else:
        for value in data:
            first, *rest = [_scalar(value)] if _is_scalar(value) else _lines(value)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)


def _entry(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value:
        yield f"{key} |-"
        yield from (f"  {line}" for line in value.splitlines())
    elif _is_scalar(value):
        yield f"{key} {_scalar(value)}"
    else:
        yield key
        yield from (f"  {line}" for line in _lines(value))


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list) or not value


def _scalar(value: Any) -> str:
    plain = (
        isinstance(value, str)
        and _PLAIN.fullmatch(value) is not None
        and value.lower() not in _MEANS_SOMETHING_ELSE
    )
    return value if plain else json.dumps(value, ensure_ascii=False)

"""Keywords of two JSON Schemas compared: types, values, ranges, and what else a value is held to."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from bookstore.lab.contracts.change import Difference, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]

WORDS: Final = ("title", "description", "examples", "example", "$comment", "externalDocs")
"""Keywords that say nothing about what is valid."""

NOTHING: Final = object()
"""Stands for a keyword that isn't there."""
_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_NO_BOUND: Final = {"minLength": 0, "minItems": 0, "minProperties": 0}
_CONSTRAINTS: Final = ("pattern", "format", "not", "propertyNames")
_ELSEWHERE: Final = ("$ref", "properties", "required", "items", "additionalProperties")
"""What leads to further schemas; `shapes` looks at it."""
_KNOWN: Final = frozenset(
    {
        "type", "enum", "const", "multipleOf", "uniqueItems", "oneOf", "anyOf", "default", "deprecated",
        *_ELSEWHERE, *WORDS, *_LOWER, *_UPPER, *_CONSTRAINTS,
    }
)  # fmt: skip


def compare_keywords(old: Schema, new: Schema) -> Iterator[Difference]:
    """What two schemas that may hold the same types say of them."""
    yield from _values(old, new)
    yield from _ranges(old, new)
    yield from _constraints(old, new)
    yield from _conditions(old, new)
    yield from compare_default(old, new)
    if bool(old.get("deprecated")) != bool(new.get("deprecated")):
        rule = "deprecated" if new.get("deprecated") else "wording-changed"
        yield Difference(rule, after="deprecated")
    others = [key for key in {*old, *new} - _KNOWN if old.get(key, NOTHING) != new.get(key, NOTHING)]
    if others:
        yield Difference("changed-otherwise", after=", ".join(sorted(others)))


def compare_default(old: Schema, new: Schema) -> Iterator[Difference]:
    """What a value means that is left out."""
    before, after = old.get("default", NOTHING), new.get("default", NOTHING)
    if (before is NOTHING) != (after is NOTHING) or before != after:
        was, now = ("nothing" if value is NOTHING else shown(value) for value in (before, after))
        yield Difference("default-changed", "", was, now)


def type_names(schema: Schema) -> list[str]:
    """The types that a schema names, if it names any."""
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else sorted(types)


def compare_types(old: Schema, new: Schema) -> Iterator[Difference]:
    """Which types a value may have."""
    before, after = set(type_names(old)) or {*_TYPES}, set(type_names(new)) or {*_TYPES}
    if before == after:
        return
    was, now = _type_words(before), _type_words(after)
    if _covers(after, before):
        yield Difference("type-widened", "", was, now)
    elif _covers(before, after):
        yield Difference("type-narrowed", "", was, now)
    else:
        yield Difference("type-changed", "", was, now)


def _covers(wide: set[str], narrow: set[str]) -> bool:
    return narrow <= (wide | {"integer"} if "number" in wide else wide)


def _type_words(types: set[str]) -> str:
    return "of any type" if types >= _TYPES else " or ".join(sorted(types))


def _values(old: Schema, new: Schema) -> Iterator[Difference]:
    before, after = _listed(old), _listed(new)
    if before is None or after is None:
        if before != after:
            yield from compare_constraint("the values", before or NOTHING, after or NOTHING)
        return
    for value in before:
        if value not in after:
            yield Difference("value-removed", before=shown(value))
    for value in after:
        if value not in before:
            yield Difference("value-added", after=shown(value))


def _listed(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _ranges(old: Schema, new: Schema) -> Iterator[Difference]:
    for keys, sign in ((_LOWER, 1), (_UPPER, -1)):
        for key in keys:
            before, after = old.get(key, _NO_BOUND.get(key)), new.get(key, _NO_BOUND.get(key))
            if before == after:
                continue
            tighter = before is None or (after is not None and (after - before) * sign > 0)
            yield Difference(
                "range-narrowed" if tighter else "range-widened",
                before=f"{key} {_bound(before)}",
                after=f"{key} {_bound(after)}",
            )


def _bound(value: float | None) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _constraints(old: Schema, new: Schema) -> Iterator[Difference]:
    for key in _CONSTRAINTS:
        yield from compare_constraint(key, old.get(key, NOTHING), new.get(key, NOTHING))
    yield from compare_constraint(
        "uniqueItems", old.get("uniqueItems") or NOTHING, new.get("uniqueItems") or NOTHING
    )
    yield from _steps(old.get("multipleOf", NOTHING), new.get("multipleOf", NOTHING))


def compare_constraint(key: str, old: Any, new: Any) -> Iterator[Difference]:
    """One thing that a value is held to, or `NOTHING`."""
    if old is new or (old is not NOTHING and new is not NOTHING and old == new):
        return
    was, now = (f"{key} {shown(value)}" if value is not NOTHING else "" for value in (old, new))
    rule = "constraint-changed"
    if old is NOTHING:
        rule = "constraint-added"
    elif new is NOTHING:
        rule = "constraint-dropped"
    yield Difference(rule, "", was, now)


def _steps(old: Any, new: Any) -> Iterator[Difference]:
    """A number's step: any multiple of the new one was a multiple of the old one, or the other way round."""
    if old is NOTHING or new is NOTHING or old == new:
        yield from compare_constraint("multipleOf", old, new)
        return
    before, after = Fraction(str(old)), Fraction(str(new))
    was, now = f"multipleOf {_bound(old)}", f"multipleOf {_bound(new)}"
    if not after % before:
        yield Difference("range-narrowed", "", was, now)
    elif not before % after:
        yield Difference("range-widened", "", was, now)
    else:
        yield Difference("constraint-changed", "", was, now)


def _conditions(old: Schema, new: Schema) -> Iterator[Difference]:
    """Conditions beside a shape's own, of which one has to hold."""
    for key in ("oneOf", "anyOf"):
        before, after = old.get(key, []), new.get(key, [])
        if not before or not after:
            yield from compare_constraint(key, before or NOTHING, after or NOTHING)
            continue
        for each in before:
            if each not in after:
                yield Difference("alternative-removed", before=shown(each))
        for each in after:
            if each not in before:
                yield Difference("alternative-added", after=shown(each))

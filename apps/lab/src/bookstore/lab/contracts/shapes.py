"""Two JSON Schemas compared: what the new one holds more or less than the old one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from bookstore.lab.contracts.change import Difference, shown, wording
from bookstore.lab.contracts.keywords import (
    NOTHING,
    WORDS,
    Schema,
    compare_constraint,
    compare_default,
    compare_keywords,
    compare_types,
    type_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_LED_INTO = frozenset({"properties", "items", "additionalProperties"})
"""Keywords whose schemas are compared by themselves."""


class Comparison:
    """Compares schemas of two documents; each pair of named shapes once.

    Args:
        before: The document that references of old schemas lead into.
        after: The same for new ones.
        descend: Whether what a reference leads to is compared too, or compared elsewhere.
    """

    def __init__(self, before: Mapping[str, Any], after: Mapping[str, Any], *, descend: bool = True) -> None:
        self._before = before
        self._after = after
        self._descend = descend
        self._known: dict[tuple[str, str], list[Difference]] = {}

    def compare(self, before: Any, after: Any) -> list[Difference]:
        """All differences of two schemas."""
        old, new = _plain(before), _plain(after)
        names = (old.get("$ref", ""), new.get("$ref", ""))
        if not all(names):
            return _once(self._bare(_resolved(old, self._before), _resolved(new, self._after)))
        beside = list(wording(old, new, WORDS))
        if not self._descend and names[0] == names[1]:
            return beside
        if names not in self._known:
            self._known[names] = []  # a shape that holds itself: this very comparison tells
            found = self._bare(
                _resolved({"$ref": names[0]}, self._before), _resolved({"$ref": names[1]}, self._after)
            )
            name = names[1].rpartition("/")[2]
            self._known[names] = [_within(name, each, shared=True) for each in _once(found)]
        return [*beside, *self._known[names]]

    def _bare(self, old: Schema, new: Schema) -> Iterator[Difference]:
        yield from wording(old, new, WORDS)
        if _is_choice(old) or _is_choice(new):
            yield from compare_default(old, new)
            yield from self._choices(_choices(old), _choices(new))
            return
        types = list(compare_types(old, new))
        yield from types
        if any(each.rule == "type-changed" for each in types):
            return
        yield from compare_keywords(old, new)
        yield from self._fields(old, new)
        yield from self._items(old, new)

    def _choices(self, old: list[Schema], new: list[Schema]) -> Iterator[Difference]:
        gone = [each for each in old if each not in new]
        come = [each for each in new if each not in old]
        for each in old:
            if each in new:  # what it refers to may differ all the same
                yield from self.compare(each, each)
        for each in list(gone):
            like = next((other for other in come if _kind(other) == _kind(each)), None)
            if like is None and len(gone) == len(come) == 1:
                like = come[0]
            if like is not None:
                gone.remove(each)
                come.remove(like)
                yield from self.compare(each, like)
        for each in gone:
            yield Difference("alternative-removed", before=_kind(each))
        for each in come:
            yield Difference("alternative-added", after=_kind(each))

    def _fields(self, old: Schema, new: Schema) -> Iterator[Difference]:
        fields: tuple[dict[str, Any], dict[str, Any]] = (old.get("properties", {}), new.get("properties", {}))
        needed = (set(old.get("required", ())), set(new.get("required", ())))
        for name in dict.fromkeys((*fields[0], *fields[1])):
            was, now = name in needed[0], name in needed[1]
            if name not in fields[1]:
                yield Difference("field-removed", name)
                continue
            if name not in fields[0]:
                yield Difference("field-added-required" if now else "field-added", name)
                continue
            if was != now:
                yield Difference("field-became-required" if now else "field-became-optional", name)
            for each in self.compare(fields[0][name], fields[1][name]):
                # Who had to send a field has never met its default.
                if not (was != now and each == Difference("default-changed", "", each.before, each.after)):
                    yield _within(name, each)
        for name in needed[0] ^ needed[1]:
            if name not in fields[0] and name not in fields[1]:
                yield Difference(
                    "field-became-required" if name in needed[1] else "field-became-optional", name
                )
        yield from self._others(old.get("additionalProperties", True), new.get("additionalProperties", True))

    def _others(self, old: Any, new: Any) -> Iterator[Difference]:
        """What a shape holds beside its named fields."""
        if isinstance(old, dict) and isinstance(new, dict):
            for each in self.compare(old, new):
                yield _within("*", each)
        elif old != new:
            if new is False:
                yield Difference("unknown-fields-refused")
            elif new is True or old is False:
                yield Difference("unknown-fields-taken")
            else:
                yield Difference("constraint-added", "*", after=shown(new))

    def _items(self, old: Schema, new: Schema) -> Iterator[Difference]:
        if "items" in old and "items" in new:
            for each in self.compare(old["items"], new["items"]):
                yield _within("[]", each)
        elif "items" in old or "items" in new:
            yield from compare_constraint("items", old.get("items", NOTHING), new.get("items", NOTHING))


def _at(document: Mapping[str, Any], reference: str) -> Schema:
    """What a reference leads to."""
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return cast("Schema", found)


def _resolved(schema: Schema, document: Mapping[str, Any]) -> Schema:
    """What a reference leads to, with what stands beside it; ready to be compared keyword by keyword."""
    while "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**_at(document, schema["$ref"]), **beside}
    led_into = {*_LED_INTO, "oneOf", "anyOf"} if _is_choice(schema) else _LED_INTO
    return {
        key: value if key in led_into else _written_out(value, document, ()) for key, value in schema.items()
    }


def _written_out(part: Any, document: Mapping[str, Any], above: tuple[str, ...]) -> Any:
    """A part that is only looked at as a whole, with all that it refers to in place of the references."""
    if isinstance(part, list):
        return [_written_out(each, document, above) for each in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    told = cast("Schema", part)
    reference = told.get("$ref")
    if not isinstance(reference, str) or reference in above:
        return {key: _written_out(value, document, above) for key, value in told.items()}
    beside = {key: value for key, value in told.items() if key != "$ref"}
    return _written_out({**_at(document, reference), **beside}, document, (*above, reference))


def _plain(schema: Any) -> Schema:
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    return cast("Schema", schema)


def _within(name: str, difference: Difference, *, shared: bool = False) -> Difference:
    """The same, as seen from what holds it; what has a shape's name keeps it."""
    if difference.shared:
        return difference
    joint = "" if not difference.path or difference.path.startswith("[") else "."
    return replace(difference, path=f"{name}{joint}{difference.path}", shared=shared)


def _once(found: Iterator[Difference]) -> list[Difference]:
    return list(dict.fromkeys(found))


def _is_choice(schema: Schema) -> bool:
    """Whether it is one of several shapes, and not a shape with conditions beside it."""
    return ("oneOf" in schema or "anyOf" in schema) and not {"type", "properties"} & schema.keys()


def _choices(schema: Schema) -> list[Schema]:
    """What it may be; what stands beside the choice holds for each."""
    if not _is_choice(schema):
        return [{key: value for key, value in schema.items() if key not in ("default", *WORDS)}]
    beside = {key: value for key, value in schema.items() if key not in ("oneOf", "anyOf", "default", *WORDS)}
    listed = [_plain(each) for each in (*schema.get("oneOf", ()), *schema.get("anyOf", ()))]
    return [each if each.get("type") == "null" else {**beside, **each} for each in listed]


def _kind(schema: Schema) -> str:
    """What a choice is called, and known by."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    return " or ".join(type_names(schema)) if "type" in schema else str(schema.get("title", shown(schema)))

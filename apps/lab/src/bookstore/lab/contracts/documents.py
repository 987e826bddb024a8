"""Two OpenAPI documents compared: operations, who may call them, what they take and what they answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from bookstore.lab.contracts.change import Change, Difference, gather, shown, wording
from bookstore.lab.contracts.rules import Direction
from bookstore.lab.contracts.shapes import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Document = dict[str, Any]
Found = tuple[Difference, Direction, str]

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_TOLD: Final = ("summary", "description", "operationId", "tags", "externalDocs")
_OPERATION: Final = {*_TOLD, "parameters", "requestBody", "responses", "security", "deprecated"}
_PART: Final = {
    "name", "in", "required", "description", "deprecated", "schema", "example", "examples", "content",
    "headers",
}  # fmt: skip
_DOCUMENT: Final = {"openapi", "info", "tags", "externalDocs", "paths", "components", "security"}


def compare_documents(before: Document, after: Document) -> list[Change]:
    """All changes between two documents, the worst first."""
    return gather(_Documents(before, after).compare())


class _Documents:
    """One comparison of two documents."""

    def __init__(self, before: Document, after: Document) -> None:
        self._before = before
        self._after = after
        self._shapes = Comparison(before, after)

    def compare(self) -> Iterator[Found]:
        place = "the document"
        for each in wording(
            self._before.get("info", {}), self._after.get("info", {}), ("title", "description")
        ):
            yield each, "both", place
        for each in _otherwise(self._before, self._after, _DOCUMENT):
            yield each, "both", place
        yield from self._schemes()
        old, new = _operations(self._before), _operations(self._after)
        for key in dict.fromkeys((*old, *new)):
            if key not in new:
                yield Difference("operation-removed"), "both", old[key][0]
            elif key not in old:
                yield Difference("operation-added"), "both", new[key][0]
            else:
                yield from self._operation(new[key][0], old[key][1], new[key][1])

    def _schemes(self) -> Iterator[Found]:
        old, new = (
            each.get("components", {}).get("securitySchemes", {}) for each in (self._before, self._after)
        )
        for name in old.keys() & new.keys():
            bare = [{k: v for k, v in each[name].items() if k != "description"} for each in (old, new)]
            if bare[0] != bare[1]:
                was, now = shown(bare[0]), shown(bare[1])
                yield Difference("access-changed", "", was, now), "both", f"the scheme {name}"
            for each in wording(old[name], new[name], ("description",)):
                yield each, "both", f"the scheme {name}"

    def _operation(self, place: str, old: Document, new: Document) -> Iterator[Found]:
        for each in (*wording(old, new, _TOLD), *_deprecation(old, new, "operation-deprecated")):
            yield each, "both", place
        for each in _otherwise(old, new, _OPERATION):
            yield each, "both", place
        for each in _access(_security(old, self._before), _security(new, self._after)):
            yield each, "both", place
        yield from self._parameters(place, old, new)
        yield from self._body(place, old.get("requestBody"), new.get("requestBody"))
        yield from self._answers(place, old.get("responses", {}), new.get("responses", {}))

    def _parameters(self, place: str, before: Document, after: Document) -> Iterator[Found]:
        old, new = _named(before), _named(after)
        for key in dict.fromkeys((*old, *new)):
            where = f"{place}, {key[0]} parameter {new.get(key, old.get(key, {}))['name']}"
            if key not in new:
                yield Difference("parameter-removed"), "request", where
            elif key not in old:
                rule = "parameter-added-required" if new[key].get("required") else "parameter-added"
                yield Difference(rule), "request", where
            else:
                for each in self._part(old[key], new[key], "parameter"):
                    yield each, "request", where

    def _part(self, old: Document, new: Document, noun: str) -> Iterator[Difference]:
        """A parameter or a header: whether it is there, and what it holds."""
        was, now = bool(old.get("required")), bool(new.get("required"))
        if was != now:
            yield Difference(f"{noun}-became-required" if now else f"{noun}-became-optional")
        yield from wording(old, new, ("description", "example", "examples"))
        yield from _deprecation(old, new, "deprecated")
        yield from _otherwise(old, new, _PART)
        for each in self._shapes.compare(old.get("schema", {}), new.get("schema", {})):
            if was == now or each.rule != "default-changed":
                yield each

    def _body(self, place: str, old: Document | None, new: Document | None) -> Iterator[Found]:
        where = f"{place}, body"
        if old is None or new is None:
            if old is not None:
                yield Difference("body-removed"), "request", place
            elif new is not None:
                rule = "body-added-required" if new.get("required") else "body-added"
                yield Difference(rule), "request", place
            return
        was, now = bool(old.get("required")), bool(new.get("required"))
        if was != now:
            rule = "body-became-required" if now else "body-became-optional"
            yield Difference(rule), "request", place
        for each in wording(old, new, ("description",)):
            yield each, "request", where
        yield from self._content(where, "request", old.get("content", {}), new.get("content", {}))

    def _answers(self, place: str, old: Document, new: Document) -> Iterator[Found]:
        for status in dict.fromkeys((*old, *new)):
            where = f"{place}, answer {status}"
            kind = "failure" if status.startswith(("4", "5")) else "success"
            if status not in new:
                yield Difference(f"{kind}-removed"), "answer", where
            elif status not in old:
                yield Difference(f"{kind}-added"), "answer", where
            else:
                yield from self._answer(where, old[status], new[status])

    def _answer(self, where: str, old: Document, new: Document) -> Iterator[Found]:
        for each in (*wording(old, new, ("description",)), *_otherwise(old, new, _PART)):
            yield each, "answer", where
        yield from self._content(where, "answer", old.get("content", {}), new.get("content", {}))
        before, after = _by_name(old.get("headers", {})), _by_name(new.get("headers", {}))
        for key in dict.fromkeys((*before, *after)):
            name = {**before, **after}[key][0]
            header = f"{where}, header {name}"
            if key not in after:
                yield Difference("header-removed"), "answer", header
            elif key not in before:
                yield Difference("header-added"), "answer", header
            else:
                for each in self._part(before[key][1], after[key][1], "header"):
                    yield each, "answer", header

    def _content(self, where: str, direction: Direction, old: Document, new: Document) -> Iterator[Found]:
        for media in dict.fromkeys((*old, *new)):
            if media not in new:
                yield Difference("media-type-removed"), direction, f"{where}, {media}"
            elif media not in old:
                yield Difference("media-type-added"), direction, f"{where}, {media}"
            else:
                for each in wording(old[media], new[media], ("example", "examples")):
                    yield each, direction, where
                for each in _otherwise(old[media], new[media], _PART):
                    yield each, direction, where
                for each in self._shapes.compare(old[media].get("schema", {}), new[media].get("schema", {})):
                    yield each, direction, where


def _operations(document: Document) -> dict[tuple[str, str], tuple[str, Document]]:
    """Each operation with its place in words; what a part of a path is called makes no other path of it."""
    found: dict[tuple[str, str], tuple[str, Document]] = {}
    for path, item in document.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                operation = {**item[method], "path": path}
                operation["parameters"] = [*item.get("parameters", ()), *item[method].get("parameters", ())]
                key = (re.sub(r"\{[^}]*\}", "{}", path), method)
                found[key] = (f"{method.upper()} {path}", operation)
    return found


def _named(operation: Document) -> dict[tuple[str, str], Document]:
    """Parameters by where they stand and what they are called; those of a path by their number in it."""
    parts: list[str] = re.findall(r"\{([^}:]*)", operation["path"])
    found: dict[tuple[str, str], Document] = {}
    for each in operation["parameters"]:
        name = each["name"]
        if each["in"] == "path" and name in parts:
            name = str(parts.index(name))
        elif each["in"] == "header":
            name = name.lower()
        found[each["in"], name] = each
    return found


def _by_name(headers: Mapping[str, Document]) -> dict[str, tuple[str, Document]]:
    return {name.lower(): (name, header) for name, header in headers.items()}


def _deprecation(old: Document, new: Document, rule: str) -> Iterator[Difference]:
    if bool(old.get("deprecated")) != bool(new.get("deprecated")):
        yield Difference(rule if new.get("deprecated") else "wording-changed", after="deprecated")


def _otherwise(old: Document, new: Document, known: set[str]) -> Iterator[Difference]:
    others = [key for key in {*old, *new} - {*known, "path"} if old.get(key) != new.get(key)]
    if others:
        yield Difference("changed-otherwise", after=", ".join(sorted(others)))


def _security(operation: Document, document: Document) -> list[frozenset[str]]:
    """What a caller may show, each one enough; nothing at all is enough where nothing is asked."""
    asked = operation.get("security", document.get("security", []))
    return [frozenset(_scopes(each)) for each in asked] or [frozenset()]


def _scopes(requirement: Mapping[str, list[str]]) -> Iterator[str]:
    for scheme, scopes in requirement.items():
        yield scheme
        yield from (f"{scheme}:{scope}" for scope in scopes)


def _access(old: list[frozenset[str]], new: list[frozenset[str]]) -> Iterator[Difference]:
    for each in old:
        if not any(other <= each for other in new):
            yield Difference("access-tightened", before=_who(each))
    for each in new:
        if not any(other <= each for other in old):
            yield Difference("access-loosened", after=_who(each))


def _who(shown_by_caller: frozenset[str]) -> str:
    return " and ".join(sorted(shown_by_caller)) or "nothing"

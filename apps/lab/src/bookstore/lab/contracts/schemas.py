"""The shapes of `bookstore.contracts` compared: JSON Schemas, a file a module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bookstore.lab.contracts.change import Change, Difference, gather
from bookstore.lab.contracts.shapes import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bookstore.lab.contracts.rules import Direction

Document = dict[str, Any]

_DEFINITIONS = "$defs"


def compare_schemas(
    before: Mapping[str, Document], after: Mapping[str, Document], uses: Mapping[str, Direction]
) -> list[Change]:
    """All changes of shapes, the worst first.

    Args:
        before: The files as they were, by name.
        after: The same as they are.
        uses: Who writes a shape, by its name; one that isn't named may be written by anybody.
    """
    return gather(_compare(before, after, uses))


def _compare(
    before: Mapping[str, Document], after: Mapping[str, Document], uses: Mapping[str, Direction]
) -> Iterator[tuple[Difference, Direction, str]]:
    for file in dict.fromkeys((*before, *after)):
        old, new = before.get(file, {}), after.get(file, {})
        shapes = (old.get(_DEFINITIONS, {}), new.get(_DEFINITIONS, {}))
        # Each shape is compared by itself, so what refers to it needn't.
        comparison = Comparison(old, new, descend=False)
        for name in dict.fromkeys((*shapes[0], *shapes[1])):
            place, direction = f"{file}, {name}", uses.get(name, "both")
            if name not in shapes[1]:
                yield Difference("shape-removed"), direction, place
            elif name not in shapes[0]:
                yield Difference("shape-added"), direction, place
            else:
                for each in comparison.compare(shapes[0][name], shapes[1][name]):
                    yield each, direction, place


def uses_in(documents: Iterable[Document]) -> dict[str, Direction]:
    """Who writes a shape, read off all OpenAPI documents: what stands in requests, in answers, or in both."""
    found: dict[str, set[Direction]] = {}
    for document in documents:
        for item in document.get("paths", {}).values():
            for operation in item.values():
                if isinstance(operation, dict):
                    asked = [operation.get(key) for key in ("requestBody", "parameters")]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                    _note(asked, "request", document, found)
                    _note(operation.get("responses"), "answer", document, found)  # pyright: ignore[reportUnknownMemberType]
    return {name: "both" if len(directions) > 1 else directions.pop() for name, directions in found.items()}


def _note(part: Any, direction: Direction, document: Document, found: dict[str, set[Direction]]) -> None:
    """Note each shape that a part of a document refers to, and what that refers to."""
    if isinstance(part, list):
        for each in part:  # pyright: ignore[reportUnknownVariableType]
            _note(each, direction, document, found)
    if isinstance(part, dict):
        for key, value in part.items():  # pyright: ignore[reportUnknownVariableType]
            _note(value, direction, document, found)
            if key == "$ref":
                name = str(value).rpartition("/")[2]  # pyright: ignore[reportUnknownArgumentType]
                directions = found.setdefault(name, set())
                if direction not in directions:
                    directions.add(direction)
                    _note(document["components"]["schemas"][name], direction, document, found)

"""Every shape as JSON Schema, for those who read or write it without Python.

`python -m bookstore.contracts.schemas FOLDER` writes a file for each module. The files are kept beside the
sources: a change of one is a change of the contract, and is compared with what was released before.
"""

import importlib
import inspect
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import msgspec

import bookstore.contracts
from bookstore.contracts.accounts import Email
from bookstore.contracts.base import Wire
from bookstore.contracts.values import Price, Text

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMESPACE = "urn:bookstore:contracts:"

_REFERENCE = "#/$defs/{name}"
_INSTEAD = "extra"
"""Where `Meta` holds what is to stand in place of what msgspec makes of a type."""


def schemas() -> dict[str, dict[str, Any]]:
    """The schema of each module that has shapes, by the module's name."""
    found: dict[str, dict[str, Any]] = {}
    for module in pkgutil.iter_modules(bookstore.contracts.__path__):
        if shapes := _shapes(module.name):
            found[module.name] = {
                "$schema": DIALECT,
                "$id": f"{NAMESPACE}{module.name}",
                "$defs": _definitions(shapes),
            }
    return found


def written(schema: dict[str, Any]) -> str:
    """A schema as the text of its file."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write(folder: Path) -> list[Path]:
    """Write a file for each module, and remove those of modules that are no more; gives what was written."""
    texts = {folder / f"{name}.json": written(schema) for name, schema in schemas().items()}
    folder.mkdir(parents=True, exist_ok=True)
    for left in {*folder.glob("*.json")} - {*texts}:
        left.unlink()
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _shapes(module: str) -> list[type[msgspec.Struct]]:
    name = f"{bookstore.contracts.__name__}.{module}"
    return [
        kind
        for _, kind in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if issubclass(kind, msgspec.Struct) and kind.__module__ == name and kind is not Wire
    ]


def _definitions(shapes: list[type[msgspec.Struct]]) -> dict[str, Any]:
    _, made = msgspec.json.schema_components(shapes, schema_hook=_value, ref_template=_REFERENCE)
    return {name: _corrected(schema) for name, schema in made.items()}


def _value(kind: type[Any]) -> dict[str, Any]:
    """The schema of a value that checks itself."""
    if issubclass(kind, Text):
        told = {
            "type": "string",
            "minLength": kind.shortest,
            "maxLength": kind.longest,
            "pattern": kind.pattern,
        }
        return {**told, "format": "email"} if issubclass(kind, Email) else told
    if issubclass(kind, Price):
        return {
            "type": ["string", "number"],
            "minimum": 0,
            "maximum": float(kind.highest),
            "multipleOf": 0.01,
            "pattern": kind.pattern,
        }
    raise TypeError(f"{kind.__name__} has no schema")


def _corrected(schema: Any) -> Any:
    """The same with what `Meta` wants in place, not beside it, and choices in an order of their own.

    Versions of msgspec differ in theirs; the files mustn't.
    """
    if isinstance(schema, list):
        return [_corrected(each) for each in schema]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(schema, dict):
        return schema
    told: dict[str, Any] = {key: _corrected(value) for key, value in schema.items()}  # pyright: ignore[reportUnknownVariableType]
    instead = told.pop(_INSTEAD, None)
    if instead is not None:
        told.pop("format", None)
        told.update(instead)
    if "anyOf" in told:
        told["anyOf"].sort(key=json.dumps)
    return told


def main() -> None:
    """Write the files, and say which."""
    [folder] = sys.argv[1:]
    for path in write(Path(folder)):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()

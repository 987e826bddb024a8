"""The document that a service serves, as the file that is kept beside its sources.

A change of the file is a change of the contract, seen in the change that makes it and compared with what was
released before. So the file is the same wherever it is made: keys are sorted, and nothing in it tells of a
machine or a setting.
"""

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from bookstore.service.docs import document

if TYPE_CHECKING:
    from bookstore.service.app import Service

FILE = "openapi.json"

_NOWHERE = ("postgresql://nobody@localhost:1/nothing", "http://localhost:1")
"""What a setting without a default is given, whichever it takes: nothing is opened, so none has to be."""


def written(served: dict[str, Any]) -> str:
    """A document as the text of its file."""
    return json.dumps(served, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def committed(name: str) -> str:
    """The text of an app's file, made from its sources: no server is started, no store is asked.

    Args:
        name: The app's: "books".
    """
    create = importlib.import_module(f"bookstore.{name}.app").create_app
    service: Service = create(_anything(get_type_hints(create)["settings"]))
    return written(msgspec.to_builtins(document(service.router)))


def write(folder: Path) -> Path:
    """Write the file of the app in a folder, `apps/books`; gives its path."""
    path = folder / FILE
    path.write_text(committed(folder.name), encoding="utf-8")
    return path


def _anything(kind: type[msgspec.Struct]) -> msgspec.Struct:
    """Settings that are as good as any: every default, and the address of nowhere for what has none."""
    hints = get_type_hints(kind, include_extras=True)
    required = [field.name for field in msgspec.structs.fields(kind) if field.required]
    return kind(**{name: next(text for text in _NOWHERE if _fits(text, hints[name])) for name in required})


def _fits(text: str, hint: Any) -> bool:
    try:
        msgspec.convert(text, hint)
    except msgspec.ValidationError:
        return False
    return True

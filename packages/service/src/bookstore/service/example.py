"""An `.env.example` for each app, made of its settings: `python -m bookstore.service.example apps`.

An app's own `settings.py` makes `.env.example` in the app's folder, one in a room of the app (a further
process of it) makes `.env.ROOM.example`. What a setting is for stands under it: here it is read off.
"""

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from bookstore.service.settings import Settings
from bookstore.service.tracing.settings import VARIABLES

_WIDTH = 110
_MADE = (
    "Made by `uv run python -m bookstore.service.example apps` of the settings themselves: change it there."
)
_HEAD = (
    "Copy this file to {copy}{how}, and change what is to be otherwise.",
    "A line that begins with # changes nothing: it shows what holds by default. What the environment says",
    "comes before what this file says.",
)


def example(kind: type[Settings], name: str) -> str:
    """The text of such a file; `name` is what it is to be called without its last part.

    Raises:
        LookupError: a setting isn't explained, or must be given and has no example.
    """
    how = "" if name == ".env" else ", name the copy in the variable ENV_FILE"
    lines = [f"# {line}" for line in (_MADE, "", *(line.format(copy=name, how=how) for line in _HEAD))]
    seen: set[str] = set()
    for part in kind.__mro__:
        own = [field for field in _own(part) if field not in seen]
        if not own:
            continue
        lines += ["", "", f"# -- {_said(part)}"]
        for field in own:
            seen.add(field)
            lines += ["", *(_traces() if field == "otel" else _setting(kind, field))]
    return "\n".join(line.rstrip() for line in [*lines, ""])


def kind_in(module: str) -> type[Settings]:
    """The settings that a module is about."""
    found = vars(importlib.import_module(module)).values()
    return next(
        each
        for each in found
        if inspect.isclass(each) and each.__module__ == module and issubclass(each, Settings)
    )


def files(apps: Path) -> dict[Path, str]:
    """What belongs where, for all apps in a folder."""
    made: dict[Path, str] = {}
    for path in sorted(apps.glob("*/src/bookstore/**/settings.py")):
        app, (_, _, *rooms, _) = path.relative_to(apps).parts[0], path.relative_to(apps).parts[1:]
        name = ".".join([".env", *rooms[1:]])
        made[apps / app / f"{name}.example"] = example(
            kind_in(".".join(["bookstore", *rooms, "settings"])), name
        )
    return made


def _own(part: type) -> Iterator[str]:
    """The settings that a class itself declares, or gives another default."""
    if issubclass(part, Settings):
        yield from inspect.get_annotations(part)


def _said(part: type) -> str:
    return inspect.cleandoc(part.__doc__ or part.__name__).splitlines()[0]


def _explanations(part: type) -> dict[str, str]:
    """The string under each field."""
    (body,) = (
        node.body
        for node in ast.parse(textwrap.dedent(inspect.getsource(part))).body
        if isinstance(node, ast.ClassDef)
    )
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _setting(kind: type[Settings], name: str) -> list[str]:
    field = next(each for each in msgspec.structs.fields(kind) if each.name == name)
    texts = (_explanations(part).get(name) for part in kind.__mro__ if issubclass(part, Settings))
    text = next(filter(None, texts), None)
    if text is None:
        raise LookupError(f"{kind.__name__}: {name} isn't explained")
    info = msgspec.inspect.type_info(get_type_hints(kind, include_extras=True)[name])
    may = _range(info)
    if not field.required:
        return [*_comment(f"{text}{may}"), f"#{name.upper()}={_written(field.default)}"]
    examples = _examples(info)
    if not examples:
        raise LookupError(f"{kind.__name__}: {name} must be given, and has no example")
    return [*_comment(f"{text} It must be given.{may}"), f"{name.upper()}={examples[0]}"]


def _examples(info: Any) -> list[str]:
    told: dict[str, list[str]] = getattr(info, "extra_json_schema", None) or {}
    return told.get("examples", [])


def _traces() -> list[str]:
    return [
        line
        for name, (default, text) in VARIABLES.items()
        for line in (*_comment(text), f"#{name}={default}", "")
    ][:-1]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _range(info: Any) -> str:
    """What it may be, where that is no matter of course."""
    kind = getattr(info, "type", info)
    if isinstance(kind, msgspec.inspect.BoolType):
        return " True or false."
    if isinstance(kind, msgspec.inspect.LiteralType):
        return f" One of {', '.join(map(str, kind.values))}."
    least, most = getattr(kind, "ge", None), getattr(kind, "le", None)
    if most is None:
        return ""
    return (
        f" {least} to {most}."
        if least is not None
        else f" More than {getattr(kind, 'gt', 0)}, at most {most}."
    )


def _written(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def main(arguments: list[str]) -> None:
    """Write them all."""
    written: Mapping[Path, str] = files(Path(arguments[0]))
    for path, text in written.items():
        path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])

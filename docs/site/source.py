"""A piece of the repository, found by its name: so a page shows what is there, and fails when it is gone."""

from __future__ import annotations

import ast
import textwrap
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {".py": "python", ".toml": "toml", ".sql": "sql", ".json": "json", ".lua": "lua", ".yml": "yaml"}


def piece(root: Path, name: str) -> str:
    """`path#Class.method` of Python, or `path#beginning of a line` of anything else, as a block of Markdown.

    Raises:
        LookupError: there is no such thing.
    """
    path, _, what = name.partition("#")
    text = (root / path).read_text()
    kind = KINDS[PurePath(path).suffix]
    found = _symbol(text, what) if kind == "python" else _paragraph(text, what)
    if found is None:
        raise LookupError(f"{path} has no {what}")
    return f"```{kind}\n{textwrap.dedent(found).strip()}\n```"


def _symbol(text: str, name: str) -> str | None:
    body: list[ast.stmt] = ast.parse(text).body
    node: ast.stmt | None = None
    for part in name.split("."):
        node = next((each for each in body if part in _names(each)), None)
        body = getattr(node, "body", [])
    if node is None:
        return None
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(each.lineno for each in decorators)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _names(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {each.id for each in targets if isinstance(each, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


def _paragraph(text: str, line: str) -> str | None:
    """From the line that begins with this to the next empty one."""
    lines = text.splitlines()
    start = next((number for number, each in enumerate(lines) if each.strip().startswith(line)), None)
    if start is None:
        return None
    end = next((number for number in range(start, len(lines)) if not lines[number].strip()), len(lines))
    return "\n".join(lines[start:end])

"""A page for each service, made of what it says of itself in OpenAPI."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from bookstore.service.docs.described import described
from bookstore.service.docs.security import refusals, with_security
from bookstore.service.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

APPS = ("gateway", "books", "orders", "accounts", "supplier", "monitor", "playground")
FRONT = """# API

What each service answers, made of its own `/openapi.json`. The same, with a way to try it, is at `/docs` of
each service that runs, also without the internet. The gateway's own routes are few; what it passes on is in
[its page](../members/gateway.md).

Every error has [one shape](../decisions/0008-one-problem-shape.md). What a request may say is told by the
shapes on each page. [Requests to try](../guides/requests.md) come as files for an HTTP client.

| service | operations |
|---|---|"""
METHODS = ("get", "post", "put", "patch", "delete")
SOMEWHERE = {"database_url": "postgresql://somebody@127.0.0.1/somewhere"}
"""For settings without a default; nothing is opened. All others are addresses of services."""


def pages(root: Path) -> dict[str, str]:
    """The pages by their names."""
    specifications = {app: specification(root, app) for app in APPS}
    made = {f"{app}.md": page(app, each) for app, each in specifications.items()}
    rows = [
        f"| [{app}]({app}.md) | {sum(len(_operations(path)) for path in each['paths'].values())} |"
        for app, each in specifications.items()
    ]
    return {"index.md": "\n".join([FRONT, *rows, ""]), **made}


def specification(root: Path, app: str) -> dict[str, Any]:
    """What the service publishes: as it is kept in its folder, or else as its code says."""
    kept = root / "apps" / app / "openapi.json"
    if kept.exists():
        return json.loads(kept.read_text())
    kind = next(
        each
        for each in vars(import_module(f"bookstore.{app}.settings")).values()
        if isinstance(each, type)
        and issubclass(each, Settings)
        and each.__module__ == f"bookstore.{app}.settings"
    )
    needed = [field.name for field in msgspec.structs.fields(kind) if field.required]
    told: dict[str, Any] = {name: SOMEWHERE.get(name, "http://127.0.0.1:1") for name in needed}
    settings = kind(**told)
    router = import_module(f"bookstore.{app}.app").create_app(settings).router
    return with_security(described(router.openapi_schema.to_schema(), refusals(router)), router)


def page(app: str, document: dict[str, Any]) -> str:
    """One service: its operations, then the shapes that they speak of."""
    lines = [f"# {app}", "", f"Version {document['info']['version']}; [what it is](../members/{app}.md).", ""]
    for path, each in document["paths"].items():
        for method, operation in _operations(each).items():
            lines += _operation(method, path, operation)
    lines += ["## Shapes", ""]
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        lines += _shape(name, schema)
    return "\n".join(lines)


def _operations(path: dict[str, Any]) -> dict[str, Any]:
    return {method: path[method] for method in METHODS if method in path}


def _operation(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    lines = [f"## {method.upper()} `{path}`", "", _line(operation.get("description", "")), ""]
    if needs := [name for each in operation.get("security", []) for name in each]:
        lines += [f"Needs: {', '.join(dict.fromkeys(needs))}.", ""]
    if parameters := operation.get("parameters"):
        lines += ["| parameter | in | kind | |", "|---|---|---|---|"]
        lines += [
            f"| `{each['name']}` | {each['in']} | {_kind(each.get('schema', {}))}"
            f" | {_line(each.get('description', ''))} |"
            for each in parameters
        ]
        lines.append("")
    if body := operation.get("requestBody"):
        lines += [f"Body: {_content(body)}", ""]
    lines += ["| answer | | body |", "|---|---|---|"]
    lines += [
        f"| {status} | {_line(answer.get('description', ''))} | {_content(answer)} |"
        for status, answer in sorted(operation.get("responses", {}).items())
    ]
    return [*lines, ""]


def _content(told: dict[str, Any]) -> str:
    return ", ".join(
        f"{_kind(each.get('schema', {}))} as `{kind}`" for kind, each in told.get("content", {}).items()
    )


def _shape(name: str, schema: dict[str, Any]) -> list[str]:
    lines = [f"### {name}", ""]
    if said := _line(schema.get("description", "")):
        lines += [said, ""]
    required = schema.get("required", [])
    if properties := schema.get("properties"):
        lines += ["| field | kind | |", "|---|---|---|"]
        lines += [
            f"| `{field}`{'' if field in required else ' (optional)'} | {_kind(each)}"
            f" | {_line(each.get('description', ''))} |"
            for field, each in properties.items()
        ]
    else:
        lines.append(_kind(schema))
    return [*lines, ""]


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[several]))
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(each)}`" for each in schema["enum"])
    kinds: str | list[str] = schema.get("type", "anything")
    words = kinds if isinstance(kinds, str) else " or ".join(kinds)
    if kinds == "array":
        words = f"list of {_kind(schema.get('items', {}))}"
    return words + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    said = [schema["format"]] if "format" in schema else []
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        said.append(
            f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:.15g}'}".strip()
        )
    if "maxLength" in schema:
        said.append(f"up to {schema['maxLength']} characters")
    if schema.get("default") is not None:
        said.append(f"default `{json.dumps(schema['default'])}`")
    return f" ({', '.join(said)})" if said else ""


def _line(text: str) -> str:
    """Text that fits into a table."""
    return " ".join(text.split()).replace("|", "\\|")

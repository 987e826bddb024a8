"""Bodies of requests, described as strictly as they are read: nothing unknown, no NUL, no empty change."""

from collections.abc import Iterator
from typing import Any

from bookstore.contracts.values import NO_NUL


def tell_strictly(method: str, operation: dict[str, Any], document: dict[str, Any]) -> None:
    """Say in the schema of an operation's body what every body of ours has to be like."""
    for media in operation.get("requestBody", {}).get("content", {}).values():
        for schema in _within(media.get("schema", {}), document):
            if "properties" in schema:
                schema.setdefault("additionalProperties", False)
                if method == "put" and not schema.get("required"):
                    schema["anyOf"] = [_given(name) for name in schema["properties"]]
            elif schema.get("type") == "string" and "enum" not in schema:
                schema.setdefault("pattern", NO_NUL)


def _within(schema: dict[str, Any], document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and all that it is made of."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    parts = [*schema.get("properties", {}).values(), *schema.get("oneOf", ()), *schema.get("anyOf", ())]
    if "items" in schema:
        parts.append(schema["items"])
    yield schema
    for part in parts:
        yield from _within(part, document)


def _given(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}

"""What Litestar can't know for /openapi.json: our own types, and the problems that all services have."""

import http
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.plugins import OpenAPISchemaPlugin

from bookstore.contracts.problems import MEDIA_TYPE, ProblemDetails
from bookstore.contracts.values import Price, Text
from bookstore.service.problem import phrase

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.typing import FieldDefinition

_REFERENCE = "#/components/schemas/{name}"
_PROBLEM = {"schema": {"$ref": _REFERENCE.format(name=ProblemDetails.__name__)}}
_FAILURES = ("4", "5")


class Values(OpenAPISchemaPlugin):
    """Describes the contracts' texts and prices."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Whether `value` is one of them."""
        return isinstance(value, type) and issubclass(value, (Text, Price))

    def to_openapi_schema(
        self, field_definition: "FieldDefinition", schema_creator: "SchemaCreator"
    ) -> Schema:
        """The schema of one."""
        del schema_creator
        kind = cast("type[Text | Price]", field_definition.annotation)
        if issubclass(kind, Text):
            return Schema(
                type=OpenAPIType.STRING,
                min_length=kind.shortest,
                max_length=kind.longest,
                description="Trimmed, and white space folded, before it is counted and kept.",
            )
        return Schema(
            type=[OpenAPIType.STRING, OpenAPIType.NUMBER],
            minimum=0,
            maximum=float(kind.highest),
            description=f"0 to {kind.highest} with at most 2 decimals, as a string or a number.",
            examples=["12.99", 12.99],
        )


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """For a handler's `responses`: failures of its own, beyond those that follow from its shape."""
    return {
        status: ResponseSpec(
            ProblemDetails,
            description=phrase(status),
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in statuses
    }


def with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """`document` with the problems that each operation can answer with; its own failures keep their place."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if isinstance(operation, dict) and "responses" in operation and _is_described(path):
                _describe(path, cast("dict[str, Any]", operation))
    [_], schemas = msgspec.json.schema_components([ProblemDetails], ref_template=_REFERENCE)
    document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    return document


def _is_described(path: str) -> bool:
    return path.startswith(("/v1/", "/v2/", "/inventory/"))


def _describe(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    # Litestar announces validation errors in a shape of its own, which no service of ours answers with.
    own = {status: told for status, told in responses.items() if MEDIA_TYPE in told.get("content", {})}
    kept = {status: told for status, told in responses.items() if not status.startswith(_FAILURES)}
    parameters = operation.get("parameters", [])
    body = operation.get("requestBody", {}).get("content", {})
    statuses = {500, 503}
    if any(parameter["in"] == "path" for parameter in parameters):
        statuses.add(404)
    if body:
        statuses |= {413, 415}
    if "application/json" in body or any(parameter["in"] == "query" for parameter in parameters):
        statuses.add(422 if path.startswith("/v2/") else 400)
    failures = {**{str(status): _response(status) for status in statuses}, **own}
    operation["responses"] = kept | dict(sorted(failures.items()))


def _response(status: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": phrase(status),
        "content": {MEDIA_TYPE: _PROBLEM},
    }
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        told["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return told

"""What Litestar can't know for /openapi.json: our own types, and the problems that all services have."""

import http
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.plugins import OpenAPISchemaPlugin

from bookstore.contracts.accounts import Email
from bookstore.contracts.problems import MEDIA_TYPE, ProblemDetails
from bookstore.contracts.values import Price, Text
from bookstore.service.docs.strict import tell_strictly
from bookstore.service.problem import phrase

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.typing import FieldDefinition

_REFERENCE = "#/components/schemas/{name}"
_PROBLEM = {"schema": {"$ref": _REFERENCE.format(name=ProblemDetails.__name__)}}
_FAILURES = ("4", "5")

OPERATIONS = ["operations"]
"""The tag of what every service answers to those who run it, and describes itself."""


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
                pattern=kind.pattern,
                format=OpenAPIFormat.EMAIL if issubclass(kind, Email) else None,
                description="Trimmed, and white space folded, before it is counted and kept.",
            )
        return Schema(
            type=[OpenAPIType.STRING, OpenAPIType.NUMBER],
            minimum=0,
            maximum=float(kind.highest),
            multiple_of=0.01,
            pattern=kind.pattern,
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


def described(document: dict[str, Any], refusals: Mapping[tuple[str, str], Iterable[int]]) -> dict[str, Any]:
    """`document` with what each operation can answer: problems, and headers that lead on.

    Args:
        document: As Litestar writes it. Failures that a handler names itself keep their place.
        refusals: With which statuses callers are refused, by path and method.
    """
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if isinstance(operation, dict) and "responses" in operation:
                told = cast("dict[str, Any]", operation)
                if told.get("tags") != OPERATIONS:
                    _tell_failures(path, told, refusals.get((path, method), ()))
                    _tell_headers(path, told)
                    tell_strictly(method, told, document)
    [_], schemas = msgspec.json.schema_components([ProblemDetails], ref_template=_REFERENCE)
    document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    return document


def _tell_failures(path: str, operation: dict[str, Any], refused: Iterable[int]) -> None:
    responses = operation["responses"]
    # Litestar announces validation errors in a shape of its own, which no service of ours answers with.
    own = {status: told for status, told in responses.items() if MEDIA_TYPE in told.get("content", {})}
    kept = {status: told for status, told in responses.items() if not status.startswith(_FAILURES)}
    parameters = operation.get("parameters", [])
    body = operation.get("requestBody", {}).get("content", {})
    statuses = {500, 503, *refused}
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
        told["headers"] = {"Retry-After": _header("Seconds to wait.", "integer")}
    return told


def _tell_headers(path: str, operation: dict[str, Any]) -> None:
    """What is made is found at `Location`, and a page of /v2 leads to its neighbours: everywhere the same."""
    asked = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"}
    found: dict[str, dict[str, Any]] = {}
    if "201" in operation["responses"]:
        found["201"] = {"Location": _header("Where it is found: a relative address.")}
    if path.startswith("/v2/") and {"limit", "offset"} <= asked:
        found["200"] = {
            "Link": _header('The next and the previous page (`rel="next"`, `rel="prev"`), if there are any.'),
            "X-Total-Count": _header("How many there are in all.", "integer"),
        }
    for status, headers in found.items():
        response = operation["responses"].get(status, {})
        response["headers"] = headers | response.get("headers", {})


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}

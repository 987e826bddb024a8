"""A change of an operation: what callers meet before any shape is looked at."""

import copy

import pytest

from bookstore.lab.contracts.documents import compare_documents
from bookstore.lab.contracts.schemas import compare_schemas, uses_in

B, A, N = "breaking", "additive", "neutral"
TEXT = {"schema": {"type": "string"}}

BASE = {
    "openapi": "3.1.0",
    "info": {"title": "Bookstore books", "version": "0.1.0"},
    "paths": {
        "/v1/books/{book_id}": {
            "put": {
                "summary": "Change",
                "parameters": [
                    {"name": "book_id", "in": "path", "required": True, "schema": {"type": "integer"}},
                    {"name": "If-Match", "in": "header", "required": False, **TEXT},
                    {"name": "lang", "in": "query", "required": True, **TEXT},
                ],
                "requestBody": {"required": True, "content": {"application/json": TEXT, "text/plain": TEXT}},
                "responses": {
                    "200": {
                        "description": "Done",
                        "content": {"application/json": TEXT, "text/plain": TEXT},
                        "headers": {"ETag": {**TEXT, "required": True}, "Link": TEXT},
                    },
                    "204": {"description": "Nothing"},
                    "404": {"description": "None"},
                },
                "security": [{"bearer": []}, {}],
            },
            "delete": {"responses": {"204": {"description": "Gone"}}, "security": [{"bearer": []}]},
        }
    },
    "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
}  # fmt: skip


PATH = "/v1/books/{book_id}"
PUT, DELETE = f"PUT {PATH}", f"DELETE {PATH}"
BODY, OK = f"{PUT}, body", f"{PUT}, answer 200"
PAGE = {"name": "page", "in": "query", **TEXT}


class Edit:
    """A copy of the document, to be changed."""

    def __init__(self):
        self.document = copy.deepcopy(BASE)
        self.paths = self.document["paths"]
        self.schemes = self.document["components"]["securitySchemes"]
        self.put, self.delete = self.paths[PATH]["put"], self.paths[PATH]["delete"]
        self.parameters = self.put["parameters"]
        self.taken = self.put["requestBody"]["content"]
        self.answers = self.put["responses"]
        self.given, self.headers = self.answers["200"]["content"], self.answers["200"]["headers"]

    def changes(self):
        return [
            (each.difference.rule, each.effect.word, each.where)
            for each in compare_documents(BASE, self.document)
        ]


CASES = [
    # rule, effect, place, what is done
    ("operation-removed", B, DELETE, lambda e: e.paths[PATH].pop("delete")),
    ("operation-added", A, "GET /v2/books", lambda e: e.paths.update({"/v2/books": {"get": {}}})),
    ("operation-deprecated", A, PUT, lambda e: e.put.update(deprecated=True)),
    ("access-tightened", B, PUT, lambda e: e.put.update(security=[{"bearer": []}])),
    ("access-tightened", B, DELETE, lambda e: e.delete.update(security=[{"bearer": ["staff"]}])),
    ("access-loosened", A, DELETE, lambda e: e.delete["security"].append({"service": []})),
    ("access-loosened", A, DELETE, lambda e: e.delete.pop("security")),
    ("access-changed", B, "the scheme bearer", lambda e: e.schemes["bearer"].update(scheme="basic")),
    ("parameter-removed", B, f"{PUT}, header parameter If-Match", lambda e: e.parameters.pop(1)),
    ("parameter-added", A, f"{PUT}, query parameter page", lambda e: e.parameters.append(PAGE)),
    (
        "parameter-added-required", B, f"{PUT}, query parameter page",
        lambda e: e.parameters.append({**PAGE, "required": True}),
    ),
    (
        "parameter-became-required", B, f"{PUT}, header parameter If-Match",
        lambda e: e.parameters[1].update(required=True),
    ),
    (
        "parameter-became-optional", A, f"{PUT}, query parameter lang",
        lambda e: e.parameters[2].update(required=False),
    ),
    (
        "type-changed", B, f"{PUT}, path parameter book_id",
        lambda e: e.parameters[0].update(schema={"type": "string"}),
    ),
    ("changed-otherwise", B, f"{PUT}, query parameter lang", lambda e: e.parameters[2].update(explode=True)),
    ("deprecated", A, f"{PUT}, query parameter lang", lambda e: e.parameters[2].update(deprecated=True)),
    ("body-removed", B, PUT, lambda e: e.put.pop("requestBody")),
    ("body-added", A, DELETE, lambda e: e.delete.update(requestBody={"content": {}})),
    ("body-added-required", B, DELETE, lambda e: e.delete.update(requestBody={"required": True})),
    ("body-became-optional", A, PUT, lambda e: e.put["requestBody"].update(required=False)),
    ("media-type-removed", B, f"{BODY}, text/plain", lambda e: e.taken.pop("text/plain")),
    ("media-type-added", A, f"{BODY}, image/png", lambda e: e.taken.update({"image/png": {}})),
    ("media-type-removed", B, f"{OK}, text/plain", lambda e: e.given.pop("text/plain")),
    ("media-type-added", A, f"{OK}, image/png", lambda e: e.given.update({"image/png": {}})),
    ("success-removed", B, f"{PUT}, answer 204", lambda e: e.answers.pop("204")),
    ("success-added", A, f"{PUT}, answer 202", lambda e: e.answers.update({"202": {}})),
    ("failure-removed", A, f"{PUT}, answer 404", lambda e: e.answers.pop("404")),
    ("failure-added", A, f"{PUT}, answer 409", lambda e: e.answers.update({"409": {}})),
    ("header-removed", B, f"{OK}, header Link", lambda e: e.headers.pop("Link")),
    ("header-added", A, f"{OK}, header Age", lambda e: e.headers.update(Age=TEXT)),
    ("header-became-required", A, f"{OK}, header Link", lambda e: e.headers["Link"].update(required=True)),
    ("header-became-optional", B, f"{OK}, header ETag", lambda e: e.headers["ETag"].pop("required")),
    (
        "type-changed", B, f"{OK}, header ETag",
        lambda e: e.headers["ETag"].update(schema={"type": "integer"}),
    ),
    ("wording-changed", N, PUT, lambda e: e.put.update(summary="Change a book")),
    ("wording-changed", N, OK, lambda e: e.answers["200"].update(description="Changed")),
    (
        "wording-changed", N, f"{PUT}, header parameter If-Match",
        lambda e: e.parameters[1].update(description="Its ETag."),
    ),
    ("wording-changed", N, "the document", lambda e: e.document["info"].update(title="Books")),
    ("changed-otherwise", B, PUT, lambda e: e.put.update(callbacks={"done": {}})),
    ("changed-otherwise", B, "the document", lambda e: e.document.update(servers=[{"url": "/other"}])),
]  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(each, id=f"{n}-{each[0]}") for n, each in enumerate(CASES)])
def test_a_change_of_an_operation(case):
    rule, effect, place, change = case
    edit = Edit()
    change(edit)
    assert edit.changes() == [(rule, effect, place)]


def test_what_nobody_meets_is_no_change():
    edit = Edit()
    edit.document["info"]["version"] = "9.9.9"
    edit.document["components"]["schemas"] = {"Unused": {"type": "string"}}
    edit.parameters[1]["name"] = "if-match"
    edit.parameters.reverse()
    edit.put["security"].reverse()
    edit.headers["etag"] = edit.headers.pop("ETag")
    assert edit.changes() == []


def test_a_body_that_is_needed_now():
    before = copy.deepcopy(BASE)
    before["paths"][PATH]["put"]["requestBody"]["required"] = False
    [change] = compare_documents(before, BASE)
    assert (change.difference.rule, change.effect.word) == ("body-became-required", B)


def test_what_a_part_of_a_path_is_called_is_not_on_the_wire():
    after = copy.deepcopy(BASE)
    item = after["paths"]["/v1/books/{id}"] = after["paths"].pop("/v1/books/{book_id}")
    item["put"]["parameters"][0]["name"] = "id"
    assert compare_documents(BASE, after) == []


def test_a_document_compared_with_itself():
    assert compare_documents(BASE, BASE) == []


def shapes(**definitions):
    return {"orders.json": {"$defs": definitions}}


def fields(**properties):
    return {"type": "object", "properties": properties}


ONE = shapes(Line=fields(a={"enum": [1]}))
TWO = shapes(Line=fields(a={"enum": [1, 2]}))


def test_who_writes_a_shape_is_read_off_the_operations_that_use_it():
    reference = {"schema": {"$ref": "#/components/schemas/Page"}}
    document = copy.deepcopy(BASE)
    document["components"]["schemas"] = {
        "Page": {"properties": {"data": {"items": {"$ref": "#/components/schemas/Line"}}}},
        "Line": {},
        "New": {"properties": {"next": {"$ref": "#/components/schemas/New"}}},
    }
    operation = document["paths"][PATH]["put"]
    operation["responses"]["200"]["content"]["application/json"] = reference
    operation["requestBody"]["content"]["application/json"] = {"schema": {"$ref": "#/components/schemas/New"}}
    assert uses_in([document]) == {"Page": "answer", "Line": "answer", "New": "request"}
    operation["requestBody"]["content"]["text/plain"] = reference
    assert uses_in([document])["Line"] == "both"


@pytest.mark.parametrize(
    ("before", "after", "use", "found"),
    [
        (ONE, {}, None, ("shape-removed", B, "orders.json, Line")),
        ({}, ONE, None, ("shape-added", A, "orders.json, Line")),
        (ONE, TWO, None, ("value-added", B, "orders.json, Line, a")),
        (ONE, TWO, "request", ("value-added", A, "orders.json, Line, a")),
        (ONE, TWO, "answer", ("value-added", B, "orders.json, Line, a")),
    ],
)
def test_a_change_of_a_contract_shape(before, after, use, found):
    [change] = compare_schemas(before, after, {"Line": use} if use else {})
    assert (change.difference.rule, change.effect.word, change.where) == found


def test_a_shape_that_another_one_holds_tells_its_changes_once():
    line = {"$ref": "#/$defs/Line"}
    before = shapes(Line=fields(a={"type": "string"}), Order=fields(line=line))
    after = shapes(Line=fields(), Order=fields(line=line))
    assert [change.where for change in compare_schemas(before, after, {})] == ["orders.json, Line, a"]

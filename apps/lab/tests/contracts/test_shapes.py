"""A change of a shape, and what it does in a request and in an answer: the opposite, mostly."""

import pytest

from bookstore.lab.contracts.documents import compare_documents

B, A, N = "breaking", "additive", "neutral"


def document(schema, **definitions):
    """One operation that takes and answers the same shape."""
    content = {"application/json": {"schema": schema}}
    return {
        "paths": {
            "/v1/books": {
                "post": {
                    "requestBody": {"required": True, "content": content},
                    "responses": {"200": {"content": content}},
                }
            }
        },
        "components": {"schemas": definitions},
    }


def effects(before, after):
    """What changed, by rule: its effect in the request, and in the answer."""
    found = {}
    for change in compare_documents(before, after):
        row = found.setdefault(change.difference.rule, {})
        row[change.direction] = change.effect.word
    return {rule: (row["request"], row["answer"]) for rule, row in found.items()}


def thing(properties, required=(), **more):
    return {"type": "object", "properties": properties, "required": [*required], **more}


TEXT = {"type": "string"}
NUMBER = {"type": "integer"}

CASES = [
    # rule, before, after, in a request, in an answer
    ("field-removed", thing({"a": TEXT}), thing({}), B, B),
    ("field-removed", thing({"a": TEXT}, ["a"]), thing({}), B, B),
    ("field-added", thing({}), thing({"a": TEXT}), A, A),
    ("field-added-required", thing({}), thing({"a": TEXT}, ["a"]), B, A),
    ("field-became-required", thing({"a": TEXT}), thing({"a": TEXT}, ["a"]), B, A),
    ("field-became-required", {"type": "object"}, {"type": "object", "required": ["a"]}, B, A),
    ("field-became-optional", thing({"a": TEXT}, ["a"]), thing({"a": TEXT}), A, B),
    ("unknown-fields-refused", thing({}), thing({}, additionalProperties=False), B, A),
    ("unknown-fields-taken", thing({}, additionalProperties=False), thing({}), A, A),
    ("unknown-fields-taken", thing({}, additionalProperties=TEXT), thing({}), A, A),
    ("constraint-added", thing({}), thing({}, additionalProperties=TEXT), B, A),
    ("type-widened", {"type": "integer"}, {"type": "number"}, A, B),
    ("type-widened", TEXT, {"type": ["string", "null"]}, A, B),
    ("type-widened", TEXT, {}, A, B),
    ("type-narrowed", {"type": "number"}, {"type": "integer"}, B, A),
    ("type-narrowed", {"type": ["string", "null"]}, TEXT, B, A),
    ("type-changed", TEXT, NUMBER, B, B),
    ("value-added", {"enum": ["a"]}, {"enum": ["a", "b"]}, A, B),
    ("value-removed", {"enum": ["a", "b"]}, {"enum": ["a"]}, B, A),
    ("value-removed", {"enum": ["a", "b"]}, {"const": "a"}, B, A),
    ("constraint-added", TEXT, {"type": "string", "enum": ["a"]}, B, A),
    ("constraint-dropped", {"type": "string", "enum": ["a"]}, TEXT, A, B),
    *(
        (rule, {"type": "integer", **before}, {"type": "integer", **after}, *verdict)
        for low, high, key in (
            (1, 2, "minimum"), (1, 2, "exclusiveMinimum"), (1, 2, "minLength"), (1, 2, "minItems"),
            (2, 1, "maximum"), (2, 1, "exclusiveMaximum"), (2, 1, "maxLength"), (2, 1, "maxItems"),
        )
        for rule, before, after, verdict in (
            ("range-narrowed", {key: low}, {key: high}, (B, A)),
            ("range-narrowed", {}, {key: high}, (B, A)),
            ("range-widened", {key: high}, {key: low}, (A, B)),
            ("range-widened", {key: high}, {}, (A, B)),
        )
    ),
    ("range-narrowed", {"multipleOf": 0.01}, {"multipleOf": 0.1}, B, A),
    ("range-widened", {"multipleOf": 0.1}, {"multipleOf": 0.01}, A, B),
    ("constraint-changed", {"multipleOf": 2}, {"multipleOf": 3}, B, B),
    ("constraint-added", TEXT, {"type": "string", "pattern": "^a$"}, B, A),
    ("constraint-dropped", {"type": "string", "format": "email"}, TEXT, A, B),
    ("constraint-changed", {"type": "string", "pattern": "^a$"}, {"type": "string", "pattern": "^b$"}, B, B),
    ("constraint-added", {"type": "array"}, {"type": "array", "uniqueItems": True}, B, A),
    ("constraint-added", {"type": "array"}, {"type": "array", "items": TEXT}, B, A),
    ("constraint-dropped", {"type": "array", "items": TEXT}, {"type": "array"}, A, B),
    ("constraint-added", thing({"a": TEXT}), thing({"a": TEXT}, anyOf=[{"required": ["a"]}]), B, A),
    ("alternative-added", {"oneOf": [TEXT]}, {"oneOf": [TEXT, {"type": "null"}]}, A, B),
    ("alternative-added", TEXT, {"oneOf": [TEXT, {"type": "null"}]}, A, B),
    ("alternative-removed", {"oneOf": [TEXT, {"type": "null"}]}, TEXT, B, A),
    (
        "alternative-removed",
        thing({}, anyOf=[{"required": ["a"]}, {"required": ["b"]}]),
        thing({}, anyOf=[{"required": ["b"]}]),
        B,
        A,
    ),
    ("default-changed", {"type": "integer", "default": 1}, {"type": "integer", "default": 2}, B, N),
    ("default-changed", NUMBER, {"type": "integer", "default": 1}, B, N),
    ("default-changed", {"oneOf": [TEXT, NUMBER], "default": 1}, {"oneOf": [TEXT, NUMBER]}, B, N),
    ("deprecated", TEXT, {"type": "string", "deprecated": True}, A, A),
    ("wording-changed", TEXT, {"type": "string", "description": "what it is"}, N, N),
    ("wording-changed", {"type": "string", "deprecated": True}, TEXT, N, N),
    ("changed-otherwise", TEXT, {"type": "string", "contentEncoding": "base64"}, B, B),
]  # fmt: skip


DEPTHS = {
    "itself": document,
    "field": lambda schema: document(thing({"it": schema}, ["it"])),
    "item": lambda schema: document({"type": "array", "items": schema}),
    "named": lambda schema: document({"$ref": "#/components/schemas/It"}, It=schema),
}


@pytest.mark.parametrize("case", [pytest.param(each, id=f"{n}-{each[0]}") for n, each in enumerate(CASES)])
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_change_of_a_shape(case, depth):
    rule, before, after, *verdict = case
    old, new = DEPTHS[depth](before), DEPTHS[depth](after)
    assert effects(old, new) == {rule: tuple(verdict)}
    assert compare_documents(old, old) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (thing({"a": TEXT}, ["a"]), thing({"a": {"type": "string", "default": "x"}})),
        (thing({"a": {"type": "string", "default": "x"}}), thing({"a": TEXT}, ["a"])),
    ],
)
def test_who_has_to_send_a_field_never_meets_its_default(before, after):
    assert "default-changed" not in effects(document(before), document(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"enum": ["a", "b"]}, {"enum": ["b", "a"]}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"type": ["string", "null"]}, {"type": ["null", "string"]}),
        ({"oneOf": [TEXT, NUMBER]}, {"anyOf": [NUMBER, TEXT]}),
        ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 1.0}),
        (thing({"a": TEXT, "b": TEXT}, ["a", "b"]), thing({"b": TEXT, "a": TEXT}, ["b", "a"])),
        ({"type": "string", "minLength": 0}, TEXT),
        (True, {}),
        ({"not": {}}, False),
    ],
)
def test_the_same_in_another_form_is_no_change(before, after):
    assert compare_documents(document(before), document(after)) == []


def test_a_bound_beside_a_choice_holds_for_each_that_it_concerns():
    before = {"oneOf": [{"type": "number"}, {"type": "null"}], "maximum": 2}
    after = {"oneOf": [{"type": "number", "maximum": 1}, {"type": "null"}]}
    assert effects(document(before), document(after)) == {"range-narrowed": (B, A)}


@pytest.mark.parametrize("among", ["oneOf", "anyOf"])
def test_choices_are_told_apart_by_the_names_of_their_shapes(among):
    a, b = thing({"a": TEXT}), thing({"b": TEXT})
    before = document({among: [ref("A"), ref("B")]}, A=a, B=b)
    after = document({among: [ref("B"), ref("A"), ref("C")]}, A=a, B=thing({"b": NUMBER}), C=thing({}))
    found = {(change.difference.path, change.difference.rule) for change in compare_documents(before, after)}
    assert found == {("B.b", "type-changed"), ("", "alternative-added")}


@pytest.mark.parametrize(
    "schema", [{"allOf": [{"$ref": "#/components/schemas/A"}]}, {"not": {"$ref": "#/components/schemas/A"}}]
)
def test_what_is_behind_a_reference_is_seen_where_no_rule_leads(schema):
    before, after = document(schema, A=thing({"a": TEXT})), document(schema, A=thing({"a": NUMBER}))
    assert [change.effect.word for change in compare_documents(before, after)] == [B, B]


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def test_a_shape_that_holds_itself_is_compared_once():
    before = document(ref("Tree"), Tree=thing({"children": {"type": "array", "items": ref("Tree")}}))
    after = document(
        ref("Tree"), Tree=thing({"children": {"type": "array", "items": ref("Tree")}, "name": TEXT}, ["name"])
    )
    changes = compare_documents(before, after)
    assert [change.where for change in changes] == [
        "Tree.name in POST /v1/books, body",
        "Tree.name in POST /v1/books, answer 200",
    ]


def test_what_a_shape_is_called_is_not_on_the_wire():
    before = document(ref("Old"), Old=thing({"a": TEXT}))
    after = document(ref("New"), New=thing({"a": TEXT}))
    assert compare_documents(before, after) == []


def test_a_place_is_told_to_the_field():
    before = document(thing({"data": {"type": "array", "items": thing({"price": TEXT})}}))
    after = document(thing({"data": {"type": "array", "items": thing({"price": NUMBER})}}))
    assert [f"{change.where}: {change.words}" for change in compare_documents(before, after)] == [
        "POST /v1/books, body, data[].price: is integer, no more string",
        "POST /v1/books, answer 200, data[].price: is integer, no more string",
    ]

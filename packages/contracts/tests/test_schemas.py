"""Shapes as JSON Schema: the committed files are these shapes, and say of values what the shapes take."""

import json
from pathlib import Path

import msgspec
import pytest

from bookstore.contracts.accounts import Registration
from bookstore.contracts.books import NewBookV1
from bookstore.contracts.schemas import schemas, write, written

COMMITTED = Path(__file__).parents[1] / "schemas"


def definition(module, name):
    return schemas()[module]["$defs"][name]


def test_the_committed_files_are_these_shapes():
    texts = {f"{name}.json": written(schema) for name, schema in schemas().items()}
    assert {path.name: path.read_text() for path in COMMITTED.iterdir()} == texts, (
        "made anew by `uv run bookstore contracts write`"
    )


def test_files_of_modules_that_are_no_more_are_removed(tmp_path):
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "gone.json").touch()
    (tmp_path / "schemas" / "notes.txt").touch()
    names = {path.name for path in write(tmp_path / "schemas")}
    assert {path.name for path in (tmp_path / "schemas").iterdir()} == {*names, "notes.txt"}


def test_every_reference_leads_somewhere():
    for name, schema in schemas().items():
        for reference in references(schema):
            assert reference.removeprefix("#/$defs/") in schema["$defs"], (name, reference)


def references(part):
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from references(each)


def test_values_that_check_themselves_are_told_as_they_check():
    book = definition("books", NewBookV1.__name__)
    assert (book["properties"]["title"]["minLength"], book["properties"]["title"]["maxLength"]) == (1, 500)
    assert book["properties"]["price"]["type"] == ["string", "number"]
    assert book["additionalProperties"] is False
    assert definition("accounts", Registration.__name__)["properties"]["email"]["format"] == "email"


@pytest.mark.parametrize(("name", "kind"), [("OrderV1", "number"), ("OrderV2", "string")])
def test_money_is_told_as_it_is_written(name, kind):
    total = definition("orders", name)["properties"]["total_price"]
    assert total["type"] == kind
    assert "extra" not in json.dumps(total)


def test_what_has_no_schema_is_named(monkeypatch):
    class Strange(msgspec.Struct):
        field: set[complex]

    monkeypatch.setattr("bookstore.contracts.schemas._shapes", lambda _: [Strange])
    with pytest.raises(TypeError, match="complex has no schema"):
        schemas()

"""What a newer service has written can be read; what is wrong is refused all the same."""

import importlib
import inspect
import pkgutil

import msgspec
import pytest

import bookstore.contracts
from bookstore.contracts.health import Health
from bookstore.contracts.orders import History
from bookstore.contracts.reading import reader

MODULES = [
    importlib.import_module(f"bookstore.contracts.{each.name}")
    for each in pkgutil.iter_modules(bookstore.contracts.__path__)
]
SHAPES = [
    shape
    for module in MODULES
    for shape in vars(module).values()
    if inspect.isclass(shape) and issubclass(shape, msgspec.Struct) and shape.__module__ == module.__name__
]


def objection(read, text):
    try:
        read(text)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.__module__}.{shape.__name__}")
def test_no_shape_minds_what_it_does_not_know(shape):
    assert "unknown" not in objection(reader(shape), b'{"not known yet": {}}')
    assert objection(reader(shape), b"[]")


def test_what_is_not_known_is_passed_over_at_every_depth():
    queue = {"unfinished": 1, "oldest_age_seconds": 2.5, "parked": 0, "dead": 0}
    told = {
        "status": "healthy",
        "services": {"redis": "healthy"},
        "queue": {**queue, "new": 1},
        "newer": [{}],
    }
    health = reader(Health)(msgspec.json.encode(told))
    assert isinstance(health, Health)
    assert msgspec.to_builtins(health) == {"status": "healthy", "services": told["services"], "queue": queue}


def test_fields_keep_their_names_and_defaults():
    change = {"from": None, "to": "Processing", "at": "2026-01-02T03:04:05Z", "cause": "ordered"}
    read = reader(History)(msgspec.json.encode({"order_id": 1, "events": [{**change, "by": "ana"}]}))
    assert msgspec.to_builtins(read) == {"order_id": 1, "events": [change]}
    assert reader(Health)(b'{"status": "degraded", "services": {}}').queue is msgspec.UNSET


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"{",
        b"[]",
        b'{"status": "healthy"}',
        b'{"status": "new", "services": {}}',
        b'{"status": "healthy", "services": {"redis": 1}}',
        b'{"status": "healthy", "services": {}, "queue": {"unfinished": 1}}',
        b'{"status": "\xff", "services": {}}',
    ],
)
def test_what_is_wrong_is_refused(wrong):
    with pytest.raises(ValueError, match=r".+"):
        reader(Health)(wrong)

"""An app's document as a file: made without a server, the same each time."""

import json
import sys
import types

import pytest
from litestar import get

from bookstore.service.app import Service
from bookstore.service.docs.committed import committed, write, written
from bookstore.service.settings import HttpUrl, PostgresUrl, Settings


class ProbeSettings(Settings, frozen=True, kw_only=True):
    port: int = 1
    database_url: PostgresUrl
    books_service_url: HttpUrl


@get("/v1/things")
async def things() -> list[str]:
    """All things."""
    return []


@pytest.fixture
def app(monkeypatch):
    """`bookstore.probe.app`, as an app's module is."""

    def create_app(settings: ProbeSettings) -> Service:
        assert settings.database_url.startswith("postgresql://")
        return Service("probe", "7.8.9", settings, handlers=[things])

    module = types.ModuleType("bookstore.probe.app")
    module.create_app = create_app
    monkeypatch.setitem(sys.modules, "bookstore.probe", types.ModuleType("bookstore.probe"))
    monkeypatch.setitem(sys.modules, "bookstore.probe.app", module)


@pytest.mark.usefixtures("app")
def test_a_document_is_made_without_a_server(tmp_path):
    (tmp_path / "probe").mkdir()
    path = write(tmp_path / "probe")
    assert path == tmp_path / "probe" / "openapi.json"
    assert path.read_text() == committed("probe")
    document = json.loads(path.read_text())
    assert document["info"] == {"title": "Bookstore probe", "version": "7.8.9"}
    assert "/v1/things" in document["paths"]


def test_a_document_is_written_in_one_way_only():
    assert written({"b": "ü", "a": [2, 1]}) == written({"a": [2, 1], "b": "ü"})
    assert written({"b": "ü", "a": 1}) == '{\n  "a": 1,\n  "b": "ü"\n}\n'

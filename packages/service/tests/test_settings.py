"""Settings are taken or refused by name, and no value is ever repeated."""

import re
from typing import Annotated

import pytest
from msgspec import Meta

from bookstore.service.settings import HttpUrl, Port, PostgresUrl, RedisUrl, Settings, SettingsError, load


class BooksSettings(Settings, frozen=True, kw_only=True):
    port: Port = 8001
    database_url: PostgresUrl
    redis_url: RedisUrl | None = None
    orders_service_url: HttpUrl = "http://127.0.0.1:8082"
    share: Annotated[float, Meta(gt=0, le=1)] = 0.5


GOOD = {"DATABASE_URL": "postgresql://user:hunter2@host/books_db"}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _load(environ, **more):
    return load(BooksSettings, "books", environ=environ, **more)


def test_the_environment_is_read_into_types():
    settings = _load({**GOOD, "PORT": "9000", "ACCESS_LOG": "false", "SHARE": "0.25", "PATH": "/bin"})
    assert (settings.port, settings.access_log, settings.share) == (9000, False, 0.25)
    assert settings.drain_announce == 3.0


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "eighty", "PORT: expected `int`"),
        ("PORT", "70000", "PORT: expected `int` <= 65535"),
        ("PORT", "", "PORT: expected `int`"),
        ("SHARE", "0", "SHARE: expected `float` > 0"),
        ("ACCESS_LOG", "maybe", "ACCESS_LOG: expected `bool`"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL: invalid enum value"),
        ("DATABASE_URL", "mysql://user:hunter2@host/db", "DATABASE_URL: must look like postgresql://"),
        ("DATABASE_URL", "", "DATABASE_URL: must look like postgresql://"),
        ("REDIS_URL", "hunter2", "REDIS_URL: must look like redis://"),
        (
            "ORDERS_SERVICE_URL",
            "http://u:hunter2@host:1",
            "ORDERS_SERVICE_URL: must look like http://host:port",
        ),
        ("ORDERS_SERVICE_URL", "127.0.0.1:8082", "ORDERS_SERVICE_URL: must look like http://host:port"),
        ("BOOKS_COLOUR", "hunter2", "BOOKS_COLOUR: unknown setting in the environment"),
    ],
)
def test_what_is_bad_is_named_and_its_value_is_not_told(name, value, says):
    with pytest.raises(SettingsError) as caught:
        _load({**GOOD, name: value})
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(says)
    assert "hunter2" not in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(SettingsError) as caught:
        _load({"PORT": "x", "SHARE": "y"})
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["PORT", "DATABASE_URL", "SHARE"]


def test_a_missing_setting_names_the_misspelt_one():
    with pytest.raises(SettingsError, match="DATABASE_URL: required, but not set; DATABSE_URL is set"):
        _load({"DATABSE_URL": "postgresql://host/db"})


def test_the_address_of_a_neighbour_is_nobodys_mistake():
    assert _load({**GOOD, "BOOKS_SERVICE_URL": "http://127.0.0.1:8001"})


def test_an_alias_is_taken():
    settings = _load({"BOOKS_DB_DSN": "postgresql://host/db"}, aliases={"BOOKS_DB_DSN": "DATABASE_URL"})
    assert settings.database_url == "postgresql://host/db"


def test_the_env_file_is_read_and_the_environment_wins(empty_folder):
    (empty_folder / ".env").write_text(
        "# comment\n\nexport PORT = 9001\nSHARE='0.75'\nOTEL_SERVICE_NAME=books\n"
        'DATABASE_URL="postgresql://host/file"\n'
    )
    settings = _load({"PORT": "9002"})
    assert (settings.port, settings.share, settings.database_url) == (9002, 0.75, "postgresql://host/file")


def test_another_env_file_can_be_named(empty_folder):
    (empty_folder / "other.env").write_text("DATABASE_URL=postgresql://host/other\n")
    assert _load({"ENV_FILE": "other.env"}).database_url == "postgresql://host/other"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("PROT=1", "PROT: unknown setting in the env file; did you mean PORT?"),
        ("COLOUR=1", "COLOUR: unknown setting in the env file; known are"),
        ("just words", "line 1: not of the form NAME=value"),
    ],
)
def test_an_env_file_is_held_to_what_is_known(empty_folder, text, says):
    (empty_folder / ".env").write_text(text)
    with pytest.raises(SettingsError, match=re.escape(says)):
        _load(GOOD)


def test_an_env_file_that_was_named_must_be_there():
    with pytest.raises(SettingsError, match=r"ENV_FILE: gone\.env can't be read"):
        _load({**GOOD, "ENV_FILE": "gone.env"})

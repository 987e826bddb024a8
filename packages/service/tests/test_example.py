"""An example of an env file says what each setting is for, and isn't made where one says nothing."""

from typing import Annotated, Literal

import pytest
from msgspec import Meta

from bookstore.service.example import example
from bookstore.service.settings import Port, Settings


class Shelves(Settings, frozen=True, kw_only=True):
    """Settings of the shelves."""

    port: Port = 8999
    boards: Annotated[int, Meta(ge=1, le=9)] = 3
    """How many there are, one above
    the other."""
    wood: Literal["oak", "pine"] = "oak"
    """What they are made of."""
    street: Annotated[str, Meta(examples=["Elm Street"])]
    """Where they stand."""


def test_it_says_what_each_is_for_what_it_may_be_and_what_holds():
    text = example(Shelves, ".env.shelves")
    assert "ENV_FILE" in text
    assert "# -- Settings of the shelves.\n\n# Where it is served. 0 to 65535.\n#PORT=8999\n" in text
    assert "# How many there are, one above the other. 1 to 9.\n#BOARDS=3\n" in text
    assert "# What they are made of. One of oak, pine.\n#WOOD=oak\n" in text
    assert "# Where they stand. It must be given.\nSTREET=Elm Street\n" in text
    assert "#ACCESS_LOG=true\n" in text
    assert "#OTEL_EXPORTER_OTLP_ENDPOINT=\n" in text


def test_what_is_not_explained_is_refused():
    class Mute(Settings, frozen=True, kw_only=True):
        """Says nothing of one of them."""

        port: int = 1
        unexplained: bool = False

    with pytest.raises(LookupError, match="unexplained isn't explained"):
        example(Mute, ".env")


def test_what_must_be_given_needs_an_example():
    class Needy(Settings, frozen=True, kw_only=True):
        """Shows nobody what one of them looks like."""

        port: int = 1
        database_url: str
        """Its own."""

    with pytest.raises(LookupError, match="database_url must be given"):
        example(Needy, ".env")

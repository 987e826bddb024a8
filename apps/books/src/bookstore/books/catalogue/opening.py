"""The catalogue that a new store opens with: `catalogue.json`, some 200 books, the oldest first."""

import importlib.resources
from datetime import UTC, datetime
from typing import Any

import msgspec

FIRST_LISTED = datetime(2025, 1, 1, 9, tzinfo=UTC)


def books() -> list[dict[str, Any]]:
    """Title, author, description and price of each book."""
    shipped = importlib.resources.files("bookstore.books.catalogue") / "catalogue.json"
    return msgspec.json.decode(shipped.read_bytes())

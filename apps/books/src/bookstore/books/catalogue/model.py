"""Rules of the catalogue, without I/O."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from bookstore.contracts.books import BookChangeV1


class Book(msgspec.Struct, frozen=True):
    """A book as it stands in the catalogue."""

    id: int
    title: str
    author: str
    description: str | None
    price: Decimal
    stock: int
    active: bool
    created_at: datetime
    updated_at: datetime


def given(change: BookChangeV1) -> dict[str, Any]:
    """The fields that a change sets: null leaves a field as it is, an empty description takes it away."""
    fields = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    if fields.get("description") == "":
        fields["description"] = None
    return fields

"""The rules that every shape on the wire shares."""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from bookstore.contracts.values import plain


class Wire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A shape on the wire: immutable, by name, and without room for what it doesn't know."""


Id = Annotated[int, Meta(ge=1, le=2**63 - 1, description="Identity of a record.", examples=[1])]
Money = Annotated[Decimal, Meta(description="An exact amount with two decimals.", examples=["25.98"])]
NumberMoney = Annotated[
    Decimal,
    Meta(
        description="An exact amount with two decimals, as a number.",
        examples=[25.98],
        extra_json_schema={"extra": {"type": "number"}},
    ),
]

text_money = msgspec.json.Encoder(enc_hook=plain)
"""Writes money as a JSON string ("25.98"): every answer but those of /v1/orders."""

number_money = msgspec.json.Encoder(enc_hook=plain, decimal_format="number")
"""Writes money as a JSON number with its exact digits (25.98, never a float): /v1/orders."""


class Page(Wire, frozen=True, kw_only=True):
    """One page of a /v2 list; the items stand in `data`, which each page declares with its own type."""

    total: Annotated[int, Meta(examples=[217])]
    limit: Annotated[int, Meta(examples=[20])]
    offset: Annotated[int, Meta(examples=[0])]

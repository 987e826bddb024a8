"""Books on the wire: /v1 the walk-through, /v2 with what a store needs; stock, and what is reserved of it."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, field

from bookstore.contracts.base import Id, Money, Page, Wire
from bookstore.contracts.orders import MAX_LINES, NewLine
from bookstore.contracts.values import END, Description, Price, Text

Title = Annotated[str, Meta(examples=["Emma"])]
Author = Annotated[str, Meta(examples=["Jane Austen"])]
About = Annotated[str | None, Meta(examples=["A clever young woman is wrong about everybody."])]
NewTitle = Annotated[Text, Meta(examples=["Emma"])]
NewAuthor = Annotated[Text, Meta(examples=["Jane Austen"])]
NewAbout = Annotated[Description, Meta(examples=["A clever young woman is wrong about everybody."])]
Moment = Annotated[datetime, Meta(examples=["2026-01-31T09:00:00Z"])]
CoverType = Literal["image/jpeg", "image/png", "image/webp", "image/avif"]
Stock = Annotated[
    int,
    Meta(
        ge=0,
        le=1_000_000_000,
        description="Copies that can be sold.",
        examples=[100],
        # Litestar leaves out a bound that is 0 where null is possible too.
        extra_json_schema={"extra": {"minimum": 0}},
    ),
]


class BookV1(Wire, frozen=True, kw_only=True):
    """A book in /v1."""

    id: Id
    title: Title
    author: Author
    price: Money
    active: Annotated[bool, Meta(examples=[True])]
    created_at: Moment
    updated_at: Moment


class BookV2(Wire, frozen=True, kw_only=True):
    """A book in /v2."""

    id: Id
    title: Title
    author: Author
    description: About
    price: Money
    stock: Stock
    active: Annotated[bool, Meta(examples=[True])]
    created_at: Moment
    updated_at: Moment


class NewBookV1(Wire, frozen=True, kw_only=True):
    """What POST /v1/books takes."""

    title: NewTitle
    author: NewAuthor
    price: Price


class NewBookV2(Wire, frozen=True, kw_only=True):
    """What POST /v2/books takes."""

    title: NewTitle
    author: NewAuthor
    price: Price
    description: NewAbout | None = None
    stock: Stock | None = None


class BookChangeV1(Wire, frozen=True, kw_only=True):
    """What PUT /v1/books/{id} takes: only what changes; null leaves a field as it is."""

    title: NewTitle | None = None
    author: NewAuthor | None = None
    price: Price | None = None


class BookChangeV2(BookChangeV1, frozen=True, kw_only=True):
    """What PUT /v2/books/{id} takes."""

    description: NewAbout | None = None


class BookRead(BookV2, frozen=True, kw_only=True):
    """What GET /v2/books/{id} answers: the book, and where it came from."""

    from_cache: Annotated[bool, Meta(examples=[False])]
    processing_time_ms: Annotated[float, Meta(examples=[0.412])]


class BookPage(Page, frozen=True, kw_only=True):
    """What GET /v2/books answers."""

    data: list[BookV2]
    from_cache: Annotated[bool, Meta(examples=[False])]
    processing_time_ms: Annotated[float, Meta(examples=[0.412])]


class Cover(Wire, frozen=True, kw_only=True):
    """What PUT /v2/books/{id}/cover answers: the picture as its content tells it."""

    book_id: Id
    media_type: CoverType
    width: Annotated[int, Meta(ge=1, description="Pixels.", examples=[600])]
    height: Annotated[int, Meta(ge=1, description="Pixels.", examples=[900])]
    size_bytes: Annotated[int, Meta(ge=1, examples=[48_213])]


class Deleted(Wire, frozen=True, kw_only=True):
    """What DELETE of a book answers."""

    message: Annotated[str, Meta(examples=["Book with ID 1 was deleted successfully"])]


class Inventory(Wire, frozen=True, kw_only=True):
    """What GET and PUT /inventory/{book_id} answer."""

    book_id: Id
    quantity: Stock
    reserved: Annotated[int, Meta(ge=0, description="Copies on hand that orders hold.", examples=[0])]


class InventoryChange(Wire, frozen=True, kw_only=True):
    """What PUT /inventory/{book_id} takes."""

    quantity: Annotated[
        int,
        Meta(ge=0, le=1_000_000_000, description="Copies on hand, reserved ones included.", examples=[100]),
    ]


MAX_TOGETHER = 100
"""How many reservations can be asked for, or settled, at once."""


class NewReservation(Wire, frozen=True, kw_only=True):
    """What PUT /inventory/reservations/{reservation_id} takes; lines of the same book are summed."""

    items: Annotated[list[NewLine], Meta(min_length=1, max_length=MAX_LINES)]


ReservationState = Literal["held", "committed", "released"]


class Reservation(Wire, frozen=True, kw_only=True):
    """Copies held under a name of the caller's; one that was released before it was held has no items."""

    reservation_id: Annotated[str, Meta(examples=["order-1"])]
    state: ReservationState
    items: list[NewLine]
    created_at: Moment


class NamedReservation(NewReservation, frozen=True, kw_only=True):
    """One of several reservations that are asked for at once."""

    reservation_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}" + END, examples=["order-1"])]


class NewReservations(Wire, frozen=True, kw_only=True):
    """What POST /inventory/reservations takes: reservations that have nothing to do with each other."""

    reservations: Annotated[list[NamedReservation], Meta(min_length=1, max_length=MAX_TOGETHER)]


class HeldBook(Wire, frozen=True, kw_only=True):
    """A book as it stood in the catalogue when copies of it were held."""

    book_id: Id
    title: Title
    author: Author
    price: Money


class Refusal(Wire, frozen=True, kw_only=True):
    """Why copies aren't held: a problem without the request that it is about."""

    type: Annotated[str, Meta(examples=["urn:bookstore:problem:insufficient-stock"])]
    status: Annotated[int, Meta(examples=[409])]
    detail: Annotated[str, Meta(examples=["too few copies can be sold: 2 of 3 of book 1"])]


class ReservationOutcome(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one of several reservations: its books if it is held, and a refusal if it isn't."""

    reservation_id: Annotated[str, Meta(examples=["order-1"])]
    books: list[HeldBook] = field(default_factory=list[HeldBook])
    refusal: Refusal | None = None


class ReservationOutcomes(Wire, frozen=True, kw_only=True):
    """What POST /inventory/reservations answers, in the order in which it was asked."""

    data: list[ReservationOutcome]


class ReservationList(Wire, frozen=True, kw_only=True):
    """What GET /inventory/reservations answers: the oldest first."""

    data: list[Reservation]


class CacheKey(Wire, frozen=True, kw_only=True):
    """One entry of the cache."""

    key: Annotated[str, Meta(examples=["books:4f1c:1:book:7"])]
    ttl_seconds: Annotated[float, Meta(ge=0, examples=[41.5])]
    size_bytes: Annotated[int, Meta(ge=0, examples=[412])]


class CacheContents(Wire, frozen=True, kw_only=True):
    """What GET /v2/cache answers."""

    hits: Annotated[int, Meta(ge=0, examples=[120])]
    misses: Annotated[int, Meta(ge=0, examples=[7])]
    keys: list[CacheKey]

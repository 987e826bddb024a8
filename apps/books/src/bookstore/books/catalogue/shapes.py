"""A book in the words of each version."""

import msgspec

from bookstore.books.catalogue.model import Book
from bookstore.contracts.base import text_money
from bookstore.contracts.books import BookV1, BookV2
from bookstore.service.conditional import etag_of


def book_v1(book: Book) -> BookV1:
    """The shape of /v1."""
    return BookV1(
        id=book.id,
        title=book.title,
        author=book.author,
        price=book.price,
        active=book.active,
        created_at=book.created_at,
        updated_at=book.updated_at,
    )


def book_v2(book: Book) -> BookV2:
    """The shape of /v2."""
    return BookV2(**msgspec.structs.asdict(book))


def etag_v1(book: Book) -> str:
    """The validator of `GET /v1/books/{id}`."""
    return etag_of(text_money.encode(book_v1(book)))


def etag_v2(book: Book) -> str:
    """The validator of `GET /v2/books/{id}`: of the book, not of how the answer was come by."""
    return etag_of(text_money.encode(book_v2(book)))

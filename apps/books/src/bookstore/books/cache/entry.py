"""What is kept: an answer's body, encoded once, with what its headers need."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Entry:
    """A body and its validator; of a list also how many there are in all."""

    etag: str
    body: bytes
    total: int = 0

    def pack(self) -> bytes:
        """As bytes for Redis."""
        return b"%b %d\n%b" % (self.etag.encode(), self.total, self.body)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """What `pack` made."""
        head, _, body = packed.partition(b"\n")
        etag, _, total = head.partition(b" ")
        return cls(etag.decode(), body, int(total))


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry is kept, and of what group it is: a write makes a whole group go."""

    group: str
    name: str = ""
    """Of one of many in a group; else the group is the place."""


PAGES = "pages"
"""The group of all lists: any write may change any of them."""


def book_place(book_id: int) -> Place:
    """Where one book is kept."""
    return Place(f"book:{book_id}")


def page_place(query: str) -> Place:
    """Where the list that answers `query` is kept."""
    return Place(PAGES, query)

"""Rules of covers, without I/O."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

import msgspec

from bookstore.contracts.books import CoverType

LARGEST = 10 * 1024 * 1024
"""Bytes."""


class Cover(msgspec.Struct, frozen=True):
    """The picture of a book, and the name under which its content is kept: a new one for each upload."""

    book_id: int
    name: str
    media_type: CoverType
    width: int
    height: int
    size: int
    sha256: str

    @property
    def etag(self) -> str:
        """Tells this content from any other."""
        return f'"{self.sha256}"'


Check: TypeAlias = Callable[[Cover | None], None]
"""Looks at the cover that a book has before that is changed, and raises what speaks against it."""


class NoSuchBook(Exception):
    """There is no such book, or it is off sale."""


class NoPicture(Exception):
    """The content is none of a cover."""


class Gone(Exception):
    """There is no content under this name."""


class CoversUnavailable(Exception):
    """Where covers are kept can't be reached, or takes no more."""


@contextmanager
def reached(*failures: type[Exception]) -> Generator[None]:
    """Turns these failures into `CoversUnavailable`."""
    try:
        yield
    except failures as error:
        raise CoversUnavailable(str(error)) from error

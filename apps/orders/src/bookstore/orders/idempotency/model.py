"""What a key is, and when two requests are the same."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from uuid import UUID

import msgspec

from bookstore.service.problem import Problem, invalid_field

HEADER = "Idempotency-Key"

_VISIBLE = re.compile(rb"[!-~]{1,255}")


class Key(msgspec.Struct, frozen=True):
    """A key as one caller uses it on one version of the API; others' keys of the same text are others."""

    scope: str
    text: str
    fingerprint: bytes
    """Of the body: the same key with another one is a mistake of the caller's."""


class Claim(msgspec.Struct, frozen=True):
    """A key that this very request works under. It stands until another claim takes its place."""

    key: Key
    token: UUID


class Given(msgspec.Struct, frozen=True):
    """The answer that was given under a key before."""

    order_id: int
    answer: bytes


class KeyReused(Problem):
    """The key belongs to another request."""

    def __init__(self) -> None:
        super().__init__(409, "idempotency-key-reused", f"this {HEADER} was used with another request body")


class KeyInUse(Problem):
    """A request under this key is being worked on at this very moment; soon there is an answer to give."""

    def __init__(self) -> None:
        super().__init__(
            409,
            "idempotency-key-in-use",
            f"a request with this {HEADER} is under way; ask again for its answer",
            headers={"Retry-After": "1"},
        )


def key_in(headers: Iterable[tuple[bytes, bytes]], path: str) -> str | None:
    """The key that a request with these (ASGI) headers names, if it names one.

    Raises:
        Problem: if it names several, or one that can't be.
    """
    given = [value for name, value in headers if name == HEADER.lower().encode()]
    if not given:
        return None
    if len(given) > 1 or not _VISIBLE.fullmatch(given[0]):
        message = "must be given once, with 1 to 255 visible ASCII characters"
        raise invalid_field(path, HEADER, message)
    return given[0].decode()


def fingerprint(wanted: Mapping[int, int]) -> bytes:
    """Of what is ordered, however it was written: in another order, or a book in two lines, is the same."""
    return hashlib.sha256(msgspec.json.encode(sorted(wanted.items()))).digest()

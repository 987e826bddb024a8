"""Rules of people, without I/O."""

import unicodedata
from datetime import datetime

import msgspec

from bookstore.contracts.accounts import Customer, Me, Role


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who can log in."""

    id: int
    email: str
    name: str
    password_hash: str
    role: Role
    customer_id: int | None
    created_at: datetime

    def me(self) -> Me:
        """What they are told of themselves."""
        return Me(
            id=self.id,
            email=self.email,
            name=self.name,
            roles=[self.role],
            customer_id=self.customer_id,
            created_at=self.created_at,
        )


class EmailTaken(Exception):
    """Somebody has that address already."""


def as_hashed(password: str) -> str:
    """A password as it is hashed: the same, however a keyboard composes its letters (RFC 8265)."""
    plain = "".join(" " if unicodedata.category(character) == "Zs" else character for character in password)
    return unicodedata.normalize("NFC", plain)


__all__ = ["Customer", "EmailTaken", "User", "as_hashed"]

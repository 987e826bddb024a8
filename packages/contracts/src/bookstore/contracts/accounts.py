"""People on the wire: who registers and logs in, customers' records, and the keys that sign tokens.

Passwords and refresh tokens are fields of requests and answers; no message ever repeats one.
"""

import re
import unicodedata
from datetime import datetime
from typing import Annotated, Literal, Self

from msgspec import Meta

from bookstore.contracts.base import Id, Wire
from bookstore.contracts.values import Text

Role = Literal["customer", "staff", "ops"]

# RFC 5321's dot-atom, and RFC 6531's letters beyond ASCII; no quoted strings, no address literals.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Email(Text):
    """An e-mail address in its one form: spellings that nearly everywhere reach one mailbox are one.

    Trimmed; compatibility forms (full-width letters, ligatures) are written out; lower case throughout; the
    domain in ASCII (`bücher.example` is kept as `xn--bcher-kva.example`).
    """

    __slots__ = ()

    longest = 254

    def __new__(cls, value: object) -> Self:
        """Read an address.

        Raises:
            ValueError: if it is none.
            TypeError: if `value` is no text.
        """
        if not isinstance(value, str):
            raise TypeError("must be text")
        # Bounded before anything looks at it: what follows takes time that grows with the length.
        if len(value) > 2 * cls.longest:
            raise ValueError(f"must have at most {cls.longest} characters")
        local, at, domain = _folded(value.strip()).rpartition("@")
        if not at or not _LOCAL.fullmatch(local) or not all(map(str.isprintable, local)):
            raise ValueError("must be an e-mail address, such as ana@example.com")
        address = f"{local}@{_ascii(domain)}"
        if len(address) > cls.longest or len(local.encode()) > 64:  # noqa: PLR2004 - RFC 5321, 4.5.3.1
            raise ValueError(f"must have at most {cls.longest} characters, 64 of them before the @")
        return super().__new__(cls, address)


def _folded(text: str) -> str:
    """Lower case and compatibility composition, until nothing changes: once isn't always enough."""
    for _ in range(4):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
        if folded == text:
            break
        text = folded
    return text


def _ascii(domain: str) -> str:
    try:
        labels = domain.encode("idna").decode().lower().split(".")
    except UnicodeError:
        labels = []
    # A name in a zone, not a bare host, and not an address of four numbers.
    if len(labels) < 2 or labels[-1].isdigit() or not all(map(_LABEL.fullmatch, labels)):  # noqa: PLR2004
        raise ValueError("must be an e-mail address, such as ana@example.com")
    return ".".join(labels)


Password = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=128,
        description="8 to 128 characters of any kind.",
        extra_json_schema={"format": "password"},
    ),
]
Typed = Annotated[str, Meta(max_length=1024)]
"""What somebody typed in to be compared: bounded, and that is all."""


class Registration(Wire, frozen=True, kw_only=True):
    """What POST /auth/register takes."""

    email: Email
    password: Password
    name: Text


class Login(Wire, frozen=True, kw_only=True):
    """What POST /auth/login takes as JSON; as a form the address is called `username`."""

    email: Typed
    password: Typed
    scope: Typed = ""
    """What the token is to be good for beside what everybody of that role may (RFC 6749, 3.3)."""


class Tokens(Wire, frozen=True, kw_only=True):
    """What a login and a refresh answer."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"]
    expires_in: Annotated[int, Meta(description="Seconds that the access token is good for.")]


class RefreshToken(Wire, frozen=True, kw_only=True):
    """What POST /auth/refresh and /auth/logout take."""

    refresh_token: Typed


class NewPassword(Wire, frozen=True, kw_only=True):
    """What POST /auth/password takes."""

    current_password: Typed
    new_password: Password


class Me(Wire, frozen=True, kw_only=True):
    """What GET /auth/me and a registration answer: somebody who can log in."""

    id: Id
    email: str
    name: str
    roles: list[Role]
    customer_id: Id | None
    created_at: datetime


class Customer(Wire, frozen=True, kw_only=True):
    """A customer's record."""

    id: Id
    name: str
    email: str
    created_at: datetime
    updated_at: datetime


class NewCustomer(Wire, frozen=True, kw_only=True):
    """What POST /v1/customers takes."""

    name: Text
    email: Email


class CustomerChange(Wire, frozen=True, kw_only=True):
    """What PUT /v1/customers/{id} takes: only what changes; null leaves a field as it is."""

    name: Text | None = None
    email: Email | None = None


class KeySet(Wire, frozen=True, kw_only=True):
    """What GET /.well-known/jwks.json answers: public keys (RFC 7517), each with `kid`, `alg` and `use`."""

    keys: list[dict[str, str]]

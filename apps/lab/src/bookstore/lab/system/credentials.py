"""The passwords of the system: generated once, kept in one file that only its owner may read."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec

from bookstore.lab.failures import Exit, LabError
from bookstore.stores.private import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

POSTGRES = "postgres"
REDIS = "redis"
SERVICES = "services"
"""Whose password is the secret that our services show each other."""


DESK = "desk"
"""Whose password is what the desk wants to see."""


class Credentials(msgspec.Struct):
    """What is in the file.

    Attributes:
        passwords: by the name of who uses them: the stores' administrators and the databases' owners.
        accounts: by the e-mail address of those who work here: what they log in with at first.
        accounts_made: those of them who have been made.
    """

    passwords: dict[str, str]
    accounts: dict[str, str] = {}
    accounts_made: list[str] = []

    @classmethod
    def load(cls, path: Path, users: Iterable[str] = (), members: Iterable[str] = ()) -> Credentials:
        """Read the file, add a new password for each of `users` and `members` without, and write it back."""
        try:
            known = msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            known = cls({})
        except msgspec.DecodeError as error:
            raise LabError(
                f"{path} isn't readable any more: {error}.",
                "Restore it, or start afresh with `bookstore reset`: without it the data has no passwords.",
                Exit.FOLDER,
            ) from error
        before = msgspec.json.encode(known)
        for names, passwords in ((users, known.passwords), (members, known.accounts)):
            passwords |= {name: secrets.token_urlsafe(24) for name in names if name not in passwords}
        if msgspec.json.encode(known) != before:
            known.write(path)
        return known

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        write_private(path, msgspec.json.format(msgspec.json.encode(self)).decode() + "\n")

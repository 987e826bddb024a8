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


class Credentials(msgspec.Struct):
    """Passwords by the name of who uses them: the stores' administrators and the databases' owners."""

    passwords: dict[str, str]

    @classmethod
    def load(cls, path: Path, users: Iterable[str]) -> Credentials:
        """Read the file, add a new password for each of `users` that has none, and write it back."""
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
        missing = [user for user in users if user not in known.passwords]
        if missing:
            known.passwords |= {user: secrets.token_urlsafe(18) for user in missing}
            write_private(path, msgspec.json.format(msgspec.json.encode(known)).decode() + "\n")
        return known

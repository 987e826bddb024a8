"""The unprivileged system account that the stores run under when we are root.

PostgreSQL refuses to run as root, and Redis has no business to. An ordinary user needs none of this:
the servers simply run as that user.
"""

from __future__ import annotations

import os
import pwd
import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bookstore.stores.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# The first that exists wins. `nobody` is on every Unix.
CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A system user to become."""

    name: str
    uid: int
    gid: int

    def owns(self, path: Path) -> None:
        """Make this account the owner of `path`."""
        os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def reaches(self, paths: Iterable[Path]) -> bool:
        """Whether this account may walk to each of `paths` and read what is there."""
        return all(
            self._may(path, stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0))
            and all(self._may(parent, stat.S_IXOTH) for parent in path.resolve().parents)
            for path in paths
        )

    def _may(self, path: Path, wanted: int) -> bool:
        try:
            status = path.stat()
        except OSError:
            return False
        # `wanted` is in the bits for others; the owner's stand six places higher, the group's three.
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        return status.st_mode & (wanted << shift) == wanted << shift


def unprivileged() -> Account | None:
    """The account to run the stores under, or None when we aren't root and simply stay who we are."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise StoreError(
        f"PostgreSQL doesn't run as root, and there is none of the accounts {', '.join(CANDIDATES)}.",
        "Start as an ordinary user, or add a system user named postgres.",
    )


def folder_argument(folder: Path, account: Account | None) -> str:
    """How a server started with `folder` as its working directory should name that folder.

    Root's state folder is closed to the account (mode 0700), and so may be its parents. A process that was
    started inside may stay there, though, and Linux lets it name the place as /proc/self/cwd.
    """
    if account is None:
        return str(folder)
    if sys.platform == "linux":
        return "/proc/self/cwd"
    if not account.reaches([folder]):
        raise StoreError(
            f"The account {account.name}, which PostgreSQL runs under, can't reach {folder}.",
            "Choose a state folder that it can reach, or start as an ordinary user.",
        )
    return str(folder)

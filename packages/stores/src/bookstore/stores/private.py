"""Files and folders that nobody else may read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bookstore.stores.account import Account


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Write `text` to `path`, mode 0600, owned by `account`; a reader sees the old or the new, whole."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    working = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        if account is not None:
            account.owns(working)
        working.replace(path)
    except BaseException:
        working.unlink(missing_ok=True)
        raise


def make_private_folder(path: Path, account: Account | None = None) -> None:
    """Make the folder `path` if it isn't there, mode 0700, owned by `account`."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    if account is not None:
        account.owns(path)

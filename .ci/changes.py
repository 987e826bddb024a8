"""What a release tells: the files of a member's `changes` become a section of its CHANGELOG.md.

Usage: changes.py MEMBER ...; each is a folder such as apps/orders. A change that somebody notices comes with
a file `changes/WORDS.KIND.md`, whose text is what they ought to know: files do not meet in a merge, as lines
of one file do. The kind says what the change does to those who use the member: breaking, added or fixed.

Nothing is written unless all is well: a version that is too low for what it tells is refused.
"""

import datetime as dt
import re
import sys
import tomllib
from pathlib import Path

from bookstore.lab.contracts.rules import Effect
from bookstore.lab.contracts.versions import Version, demanded, read_version

FOLDER = "changes"
KINDS = {"breaking": Effect.BREAKING, "added": Effect.ADDITIVE, "fixed": Effect.NEUTRAL}
UNRELEASED = "Not released yet."

_NAME = re.compile(rf"[a-z0-9][a-z0-9-]*\.({'|'.join(KINDS)})\.md")
_SECTION = re.compile(r"^## (\S+)\n\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


class Refused(Exception):
    """A member's changes can't be told as they are."""


def fragments(member: Path) -> dict[Path, str]:
    """The member's files of changes by kind, what breaks first.

    Raises:
        Refused: if a file isn't named as it has to be, or is empty.
    """
    found: dict[Path, str] = {}
    for path in sorted((member / FOLDER).glob("*")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            kinds = ", ".join(KINDS)
            raise Refused(f"{path}: a file of changes is called like stock-by-mail.added.md ({kinds})")
        if not path.read_text().strip():
            raise Refused(f"{path}: says nothing")
        found[path] = match[1]
    return dict(sorted(found.items(), key=lambda item: -KINDS[item[1]]))


def fold(member: Path, today: dt.date) -> str:
    """Write the section of the member's version, and remove the files that it is made of; gives the version.

    Raises:
        Refused: if there is nothing to tell, or the version is too low for it.
    """
    text = (member / "CHANGELOG.md").read_text()
    version = tomllib.loads((member / "pyproject.toml").read_text())["project"]["version"]
    found = fragments(member)
    sections = [(match, match[1], match[2].strip()) for match in _SECTION.finditer(text)]
    released = [name for _, name, body in sections if not body.startswith(UNRELEASED)]
    begun = [(match, body) for match, _, body in sections if body.startswith(UNRELEASED)]
    _check(member, version, found, released)
    lines = [_bullet(path, kind) for path, kind in found.items()]
    if begun:
        match, body = begun[0]
        rest = body.removeprefix(UNRELEASED).strip()
        told = "\n".join([*([rest] if rest else []), *lines])
        start, end = match.span()
    else:
        told = "\n".join(lines)
        start = end = sections[0][0].start() if sections else len(text)
    if not told:
        raise Refused(f"{member}: there is nothing to tell of {version}")
    section = f"## {version}\n\n{today}\n\n{told}\n"
    after = text[end:]
    (member / "CHANGELOG.md").write_text(text[:start] + section + (f"\n{after}" if after else ""))
    for path in found:
        path.unlink()
    return version


def _check(member: Path, version: str, found: dict[Path, str], released: list[str]) -> None:
    now = read_version(version)
    if now is None:
        raise Refused(f"{member}: {version} isn't three numbers")
    before = max((known for name in released if (known := read_version(name))), default=None)
    if before is None:
        return
    if now <= before:
        raise Refused(f"{member}: {version} isn't above {before}, which was the last")
    for path, kind in found.items():
        needs: Version = demanded(before, KINDS[kind])
        if now < needs:
            raise Refused(f"{path}: after {before} it asks for {needs} or later, not {version}")


def _bullet(path: Path, kind: str) -> str:
    text = path.read_text().strip().replace("\n", "\n  ")
    return f"- Breaking: {text}" if kind == "breaking" else f"- {text}"


def main() -> int:
    """Fold the changes of each member that is named."""
    for word in sys.argv[1:]:
        try:
            print(f"{word}: {fold(Path(word), dt.datetime.now(dt.UTC).date())}")  # noqa: T201
        except Refused as refused:
            print(f"changes.py: {refused}", file=sys.stderr)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

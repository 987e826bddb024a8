"""A release of one member: whether its tag tells the truth, and its files.

Usage: release.py TAG FOLDER; the source distribution and the wheel go to FOLDER. Nothing is sent anywhere.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import wheels

ROOT = Path(__file__).parent.parent
NOBODYS = "bookstore.example"
"""Where addresses lead until the repository has one."""


def problems(root: Path, tag: str) -> list[str]:
    """What isn't so: why a tag can't be released."""
    match = re.fullmatch(r"([a-z]+)-v(\d+\.\d+\.\d+)", tag)
    if match is None:
        return [f"{tag} isn't a member and a version, like orders-v1.4.0"]
    name, version = match.groups()
    manifests = list(root.glob(f"*/{name}/pyproject.toml"))
    if len(manifests) != 1:
        return [f"{tag}: no member is called {name}"]
    member = manifests[0].parent
    project = tomllib.loads(manifests[0].read_text())["project"]
    found: list[str] = []
    if project["version"] != version:
        found.append(f"{tag}: the version of {name} is {project['version']}")
    changes = (member / "CHANGELOG.md").read_text()
    section = re.search(rf"^## {re.escape(version)}\n\n(.*)$", changes, re.MULTILINE)
    if section is None or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", section[1]):
        found.append(f"{tag}: CHANGELOG.md has no dated section {version}; .ci/changes.py writes it")
    left = sorted(path.name for path in (member / "changes").glob("*"))
    if left:
        found.append(f"{tag}: {', '.join(left)} wouldn't be told of; .ci/changes.py does")
    if NOBODYS in str(project.get("urls", {})):
        found.append(f"{tag}: its addresses lead to {NOBODYS}; docs/releasing.md says how to name your own")
    return found


def build(tag: str, folder: Path) -> list[str]:
    """Build the files of a tag's member as they will be published; gives what is wrong with them."""
    name, version = tag.split("-v")
    subprocess.run(  # noqa: S603 - our own words
        ["uv", "build", "--no-sources", "--package", f"bookstore-{name}", "--out-dir", folder],  # noqa: S607
        cwd=ROOT,
        check=True,
    )
    (wheel,) = folder.glob(f"bookstore_{name}-{version}-*.whl")
    (member,) = (path.parent for path in ROOT.glob(f"*/{name}/pyproject.toml"))
    return wheels.complaints(wheel, member)


def main(tag: str, folder: Path) -> int:
    """Check and build; 1 if anything isn't as it should be."""
    found = problems(ROOT, tag) or build(tag, folder)
    for each in found:
        print(f"release.py: {each}", file=sys.stderr)  # noqa: T201
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]).absolute()))

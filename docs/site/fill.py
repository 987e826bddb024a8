"""What pages show of the code: pieces of it, settings, experiments, guides. Made here, kept in the pages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from docs.site import guide
from docs.site.source import piece

from bookstore.lab.observe import alerts, slo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PART = re.compile(
    r"^<!-- (code|settings|experiments|tests|guide|alert): (.+?) -->\n.*?^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)
ROW = re.compile(r"^\| `([A-Z0-9_]+)` \|(.*?)\|(.*?)\|$", re.MULTILINE)
ALERTS = {
    alert.name: alert
    for alert in (
        *(each for about in alerts.BY_SUBJECT.values() for each in about),
        *(each for promise in slo.SLOS for each in slo.alerts(promise)),
    )
}
DEFINITIONS = "apps/lab/src/bookstore/lab/experiments/definitions"


def pages(root: Path) -> dict[Path, str]:
    """Each page that shows something of the code, as it should be."""
    texts = {path: path.read_text() for path in sorted((root / "docs").rglob("*.md"))}
    shown = {path: text for path, text in texts.items() if PART.search(text)}
    made: dict[Path, str] = {}
    for path, text in shown.items():
        try:
            made[path] = filled(root, text)
        except LookupError as error:
            raise LookupError(f"{path.relative_to(root)}: {error}") from error
    return made


def filled(root: Path, text: str) -> str:
    """A page with all that it shows taken anew.

    Raises:
        LookupError: it names something that isn't there.
    """
    makers: dict[str, Callable[[Path, str], str]] = {
        "code": piece,
        "settings": settings,
        "experiments": experiments,
        "tests": tests,
        "guide": guide.steps,
        "alert": lambda _, name: alert(name),
    }

    def anew(found: re.Match[str]) -> str:
        kind, what = found.groups()
        return f"<!-- {kind}: {what} -->\n\n{makers[kind](root, what)}\n\n<!-- end -->"

    return PART.sub(anew, text)


def settings(root: Path, what: str) -> str:
    """`orders BOOKS_TIMEOUT ...`: rows of the tables in that member's README.

    The first table is the service's, and counts where that of its worker has the same name.
    """
    member, *names = what.split()
    readme = (
        next(path for path in (root / "apps" / member, root / "packages" / member) if path.exists())
        / "README.md"
    )
    rows: dict[str, tuple[str, str]] = {}
    for name, default, text in ROW.findall(readme.read_text()):
        rows.setdefault(name, (default.strip(), text.strip()))
    if missing := [name for name in names if name not in rows]:
        raise LookupError(f"{member} has no setting {missing[0]}")
    lines = [f"| `{name}` | {rows[name][0]} | {rows[name][1]} |" for name in names]
    return "\n".join(
        [
            f"| setting of [{member}](../../{readme.parent.relative_to(root)}) | default | |",
            "|---|---|---|",
            *lines,
        ]
    )


def experiments(root: Path, what: str) -> str:
    """`books-killed ...`: what each does, and the line that runs them."""
    names = what.split()
    rows = [_experiment(root, name) for name in names]
    return "\n".join(
        [
            "| experiment | what is done | what is to be seen | held to |",
            "|---|---|---|---|",
            *(
                f"| `{name}` | {each['title']} | {each['description']} | {_invariants(each)} |"
                for name, each in zip(names, rows, strict=True)
            ),
            "",
            "```sh",
            f"uv run bookstore experiment run {' '.join(names)}",
            "```",
        ]
    )


def tests(root: Path, what: str) -> str:
    """`path ...`: the line that runs these tests."""
    for path in what.split():
        if not (root / path).exists():
            raise LookupError(f"there is no {path}")
    return f"```sh\nuv run pytest {what}\n```"


def alert(name: str) -> str:
    """What it says, how bad it is, and when it fires."""
    if name not in ALERTS:
        raise LookupError(f"there is no alert {name}")
    told = ALERTS[name]
    says = told.summary.replace("{", "*").replace("}", "*")
    after = "at once" if told.wait == "0m" else f"after {told.wait}"
    return f"**{told.severity}**, {after}: {says}.\n\n```text\n{told.expr}\n```"


def _invariants(experiment: dict[str, Any]) -> str:
    own = next(each for each in experiment["extensions"] if each["name"] == "bookstore-lab")
    return ", ".join(f"`{name}`" for name in own["invariants"])


def _experiment(root: Path, name: str) -> dict[str, Any]:
    path = root / DEFINITIONS / f"{name}.json"
    if not path.exists():
        raise LookupError(f"there is no experiment {name}")
    return json.loads(path.read_text())

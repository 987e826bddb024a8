"""All metrics of all services in one table, read off what they tell Prometheus."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD = "| metric | kind | labels | told by | what it counts |"
_COMMENT = re.compile(r"# (HELP|TYPE) (\S+) (.*)")
_SAMPLE = re.compile(r"([\w:]+)(?:\{(.*)\})? ")
_LABEL = re.compile(r'(\w+)="(?:\\.|[^"\\])*"')
_WHO = re.compile(r'^bookstore_build_info\{.*service="([^"]+)"', re.MULTILINE)
_ENDINGS = ("_bucket", "_count", "_sum")
_FOREIGN = ("process_", "python_")
"""What every program in Python tells, by the names of its client library."""


@dataclass
class _Family:
    kind: str = ""
    text: str = ""
    labels: set[str] = field(default_factory=set[str])
    services: set[str] = field(default_factory=set[str])


def table(told: Iterable[str]) -> str:
    """The families in these texts, one or more a service, as a table in Markdown."""
    families: dict[str, _Family] = {}
    everybody: set[str] = set()
    for text in told:
        service = _WHO.search(text)
        everybody.add(service[1] if service else "")
        for line in text.splitlines():
            _take(line, service[1] if service else "", families)

    def tellers(family: _Family) -> str:
        return "every service" if family.services == everybody else ", ".join(sorted(family.services))

    rows = [
        f"| `{name}` | {family.kind} | {', '.join(f'`{label}`' for label in sorted(family.labels))}"
        f" | {tellers(family)} | {family.text} |"
        for name, family in sorted(families.items())
        if not name.startswith(_FOREIGN)
    ]
    return "\n".join([HEAD, "|---|---|---|---|---|", *rows, ""])


def replaced(document: str, told: Iterable[str]) -> str:
    """A document with the table in it made anew."""
    before, _, rest = document.partition(HEAD)
    _, _, after = rest.partition("\n\n")
    return f"{before}{table(told)}\n{after}"


def _take(line: str, service: str, families: dict[str, _Family]) -> None:
    if comment := _COMMENT.match(line):
        what, name, said = comment.groups()
        family = families.setdefault(name, _Family())
        if what == "TYPE":
            family.kind = said
        else:
            family.text = said
        family.services.add(service)
    elif sample := _SAMPLE.match(line):
        name, labels = sample.groups()
        if name not in families:
            name = next(name.removesuffix(end) for end in _ENDINGS if name.endswith(end))
        families[name].labels |= {*_LABEL.findall(labels or "")} - {"le"}

"""`bookstore contracts diff` and `bookstore contracts write`."""

# ruff: noqa: T201 - printing is what a command does

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bookstore.lab.contracts.change import Change, Difference, gather
from bookstore.lab.contracts.documents import compare_documents
from bookstore.lab.contracts.repository import DOCUMENT, SCHEMAS, Member, Repository
from bookstore.lab.contracts.schemas import compare_schemas, uses_in
from bookstore.lab.contracts.versions import Version, demanded, step
from bookstore.lab.failures import Exit, LabError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from bookstore.lab.contracts.rules import Direction, Effect
    from bookstore.lab.system.folder import StateFolder

_EXAMPLE = "orders-v1.4.0"


@dataclass(frozen=True)
class Finding:
    """What became of one member's contract since a release, or why that isn't known."""

    member: Member
    since: str | None = None
    """The tag or commit that it is compared with."""
    before: Version | None = None
    changes: tuple[Change, ...] = ()
    note: str = ""

    @property
    def worst(self) -> Effect | None:
        """The worst of its changes."""
        return max((change.effect for change in self.changes), default=None)

    @property
    def needs(self) -> Version | None:
        """The lowest version that the changes may be released as."""
        if self.before is None:
            return None
        return self.before if self.worst is None else demanded(self.before, self.worst)

    @property
    def enough(self) -> bool:
        """Whether the member's version is at least that."""
        return self.needs is None or self.member.version >= self.needs


def contracts(arguments: argparse.Namespace, folder: StateFolder) -> int:
    """Do what the words say, and return the exit code."""
    del folder
    repository = Repository(Path.cwd())
    if arguments.deed == "write":
        return _write(repository)
    findings = compare(repository, arguments.tag)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(told(findings))).decode())
    else:
        print("\n".join(line for finding in findings for line in _lines(finding)))
        if all(finding.since is None for finding in findings):
            print(f"nothing has been released yet: there is no tag such as {_EXAMPLE}")
    return Exit.OK if all(finding.enough for finding in findings) else Exit.FAILED


def compare(repository: Repository, revision: str | None) -> list[Finding]:
    """Every member that has a contract, compared with a commit, or with its own last release.

    Raises:
        LabError: if there is no such commit, or what is to be compared can't be read.
    """
    if revision is not None:
        repository.require(revision)
    members = repository.members()
    uses = uses_in(member.document for member in members if member.document)
    return [
        _compare(repository, member, revision or repository.last_tag(member.name), uses) for member in members
    ]


def _compare(
    repository: Repository, member: Member, since: str | None, uses: Mapping[str, Direction]
) -> Finding:
    if since is None:
        return Finding(member, note="not released yet" if member.committed else "has no contract")
    before = repository.member_at(since, member.folder)
    if before is None or not before.committed:
        note = f"had none at {since}: nothing to compare" if member.committed else "has no contract"
        return Finding(member, since, note=note)
    return Finding(member, since, before.version, tuple(_changes(before, member, uses)))


def _changes(before: Member, after: Member, uses: Mapping[str, Direction]) -> list[Change]:
    changes: list[Change] = []
    if before.document is not None and after.document is not None:
        changes += compare_documents(before.document, after.document)
    elif before.document is not None:
        changes += gather([(Difference("shape-removed"), "both", DOCUMENT)])
    changes += compare_schemas(before.schemas, after.schemas, uses)
    return sorted(changes, key=lambda change: -change.effect)


def _lines(finding: Finding) -> list[str]:
    member, worst = finding.member, finding.worst
    name = f"{member.name} {member.version}"
    if finding.before is None:
        return [f"{name}: {finding.note}"]
    since = f"since {finding.since} ({finding.before})"
    if worst is None:
        fine = "no change" if finding.enough else f"no change, but the version was {finding.before}"
        return [f"{name}: {fine} {since}"]
    asked = f"asks for a {step(finding.before, worst)} step, {finding.needs} or later"
    verdict = "✓" if finding.enough else f"✗ the version is {member.version}"
    return [
        f"{name}: {len(finding.changes)} changes {since}, the worst is {worst.word}: {asked} {verdict}",
        *(f"  {change.effect.word:9}{change.where}: {change.words}" for change in finding.changes),
    ]


def told(findings: list[Finding]) -> dict[str, Any]:
    """Everything for scripts."""
    return {
        "enough": all(finding.enough for finding in findings),
        "members": [
            {
                "member": finding.member.name,
                "version": str(finding.member.version),
                "since": finding.since,
                "released": str(finding.before) if finding.before else None,
                "step": (
                    step(finding.before, finding.worst)
                    if finding.before and finding.worst is not None
                    else None
                ),
                "needs": str(finding.needs) if finding.needs else None,
                "enough": finding.enough,
                "note": finding.note,
                "changes": [
                    {
                        "effect": change.effect.word,
                        "rule": change.difference.rule,
                        "direction": change.direction,
                        "where": change.where,
                        "what": change.words,
                        "places": change.places,
                    }
                    for change in finding.changes
                ],
            }
            for finding in findings
        ],
    }


def _write(repository: Repository) -> int:
    """Make the documents of the work tree anew, each by the package that knows how."""
    apps = [str(path.parents[3]) for path in sorted(repository.root.glob("apps/*/src/bookstore/*/app.py"))]
    packages = sorted(repository.root.glob("packages/*/src/bookstore/*/schemas.py"))
    commands = [
        ["bookstore.service.docs", *apps],
        *([f"bookstore.{path.parent.name}.schemas", str(path.parents[3] / SCHEMAS)] for path in packages),
    ]
    for words in commands:
        result = subprocess.run([sys.executable, "-m", *words], check=False)  # noqa: S603 - our own programs
        if result.returncode:
            raise LabError(f"{words[0]} couldn't write its documents.", "Its error is above.", Exit.FAILED)
    return Exit.OK

"""The report of a run in all its forms: JSON for scripts, Markdown for a change, HTML for people."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bookstore.lab.experiments.evidence import Judgement
from bookstore.lab.experiments.journal import Journal
from bookstore.lab.failures import Exit, LabError
from bookstore.lab.report.markdown import markdown
from bookstore.lab.report.page import page


class Result(msgspec.Struct, kw_only=True):
    """One experiment of a run."""

    name: str
    journal: Journal

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one that the definition says must come."""
        findings = self.journal.findings
        return self.journal.status == "completed" and findings.judgement == findings.expected

    @property
    def whole(self) -> Judgement:
        """What it says about the system: the null experiment is fine when it is unknown."""
        if self.as_expected:
            return "valid"
        judgement = self.journal.findings.judgement
        if judgement == "valid" or self.journal.findings.expected == "unknown":
            # Something that can't have been proved was called proved: the lab itself is wrong.
            return "invalid" if self.journal.status == "completed" else "unknown"
        return judgement


@dataclass
class Sheet:
    """A run: its folder and what came of it so far."""

    folder: Path
    results: list[Result] = field(default_factory=list[Result])


def whole(results: Sequence[Result]) -> Judgement:
    """Invalid if any is; unknown if any is that shouldn't be; the null experiment has to be unknown."""
    judgements = [result.whole for result in results]
    for wanted in ("invalid", "unknown"):
        if wanted in judgements:
            return wanted
    return "valid" if judgements else "unknown"


def judgement(results: Sequence[Result]) -> Judgement:
    """Of one experiment its own, of several what they come to."""
    return results[0].journal.findings.judgement if len(results) == 1 else whole(results)


def as_json(results: Sequence[Result]) -> str:
    """What scripts are told of a run."""
    rows = [
        {
            "experiment": result.name,
            "judgement": result.journal.findings.judgement,
            "expected": result.journal.findings.expected,
            "status": result.journal.status,
            "seconds": result.journal.duration,
            "digest": result.journal.findings.digest,
            "restored": result.journal.findings.restored,
            "bites": result.journal.findings.bites,
            "verdicts": result.journal.findings.verdicts,
            "phases": result.journal.findings.phases,
        }
        for result in results
    ]
    told = {"judgement": judgement(results), "experiments": rows}
    return msgspec.json.format(msgspec.json.encode(told)).decode()


def write(sheet: Sheet) -> None:
    """Write all forms, anew."""
    (sheet.folder / "report.json").write_text(as_json(sheet.results) + "\n")
    (sheet.folder / "report.md").write_text(markdown(sheet.results))
    (sheet.folder / "report.html").write_text(page(sheet.folder, sheet.results))


def read(folder: Path) -> Sheet:
    """A run from its journals.

    Raises:
        LabError: there is none in that folder, or a journal is damaged.
    """
    journals = sorted(folder.glob("*/journal.json"))
    if not journals:
        raise LabError(
            f"There is no run of experiments in {folder}.",
            "Make one: bookstore experiment run --all --tag fast",
            Exit.USAGE,
        )
    results = [Result(name=path.parent.name, journal=_journal(path)) for path in journals]
    return Sheet(folder, sorted(results, key=lambda result: result.journal.start))


def _journal(path: Path) -> Journal:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except msgspec.DecodeError as error:
        raise LabError(
            f"{path} isn't a whole journal: {error}.", "Run that experiment again.", Exit.FAILED
        ) from error

"""Reports of what was run, from here or on the command line: a page each."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, cast

import msgspec

from bookstore.contracts.lab import Kind, Report, State
from bookstore.lab.desk.refused import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = 100
NAME = re.compile(r"(\d{8}-\d{6})-(experiment|scenario)s")


class _Row(msgspec.Struct):
    experiment: str = ""
    guide: str = ""
    status: str = "completed"


class _Told(msgspec.Struct):
    judgement: State
    experiments: list[_Row] = []
    guides: list[_Row] = []


def reports(folder: Path) -> list[Report]:
    """The newest ones first; what isn't whole is no report."""
    names = sorted((path.name for path in folder.glob("*-*s") if NAME.fullmatch(path.name)), reverse=True)
    return [report for name in names[:SHOWN] if (report := _report(folder, name)) is not None]


def page(folder: Path, identity: str) -> bytes:
    """A report as HTML.

    Raises:
        RefusedError: there is none of that identity.
    """
    path = folder / identity / "report.html"
    if NAME.fullmatch(identity) is None or not path.is_file():
        raise RefusedError(404, "no-such-report", f"There is no report {identity!r}.")
    return path.read_bytes()


def _report(folder: Path, name: str) -> Report | None:
    try:
        told = msgspec.json.decode((folder / name / "report.json").read_bytes(), type=_Told)
    except (OSError, msgspec.DecodeError):
        return None
    match = NAME.fullmatch(name)
    assert match is not None  # noqa: S101 - chosen by it
    rows = told.experiments or told.guides
    interrupted = any(row.status == "interrupted" for row in rows)
    return Report(
        id=name,
        kind=cast("Kind", match[2]),
        name=", ".join(row.experiment or row.guide for row in rows),
        # The folder's name is in this machine's own time.
        at=datetime.strptime(match[1], "%Y%m%d-%H%M%S").astimezone(),
        verdict="interrupted" if interrupted else told.judgement,
    )

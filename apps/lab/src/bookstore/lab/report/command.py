"""`bookstore report [RUN]`: writes a run's report anew and tells it."""

# ruff: noqa: T201 - printing is what a command does

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.report.markdown import markdown
from bookstore.lab.report.write import read, write

if TYPE_CHECKING:
    import argparse

    from bookstore.lab.system.folder import StateFolder


def report(arguments: argparse.Namespace, folder: StateFolder) -> int:
    """Tell of a run; without a name, of the last one."""
    sheet = read(_chosen(arguments.run, folder.path / "runs"))
    write(sheet)
    if arguments.json:
        print((sheet.folder / "report.json").read_text().rstrip())
    else:
        print(markdown(sheet.results))
        print(f"the same as a page: {sheet.folder / 'report.html'}")
    return Exit.OK


def _chosen(run: str | None, runs: Path) -> Path:
    if run is not None:
        return runs / run if (runs / run).is_dir() else Path(run)
    # One that was killed before its first experiment was over has nothing to tell.
    found = sorted({journal.parent.parent for journal in runs.glob("*-experiments/*/journal.json")})
    if not found:
        raise LabError(
            f"No experiments have been run with their state in {runs.parent}.",
            "Run some: bookstore experiment run --all --tag fast",
            Exit.USAGE,
        )
    return found[-1]

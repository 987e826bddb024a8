"""`bookstore experiment list | show | run`."""

# ruff: noqa: T201 - printing is what a command does

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bookstore.lab import live
from bookstore.lab.experiments.bench import Bench, running
from bookstore.lab.experiments.calm import calm
from bookstore.lab.experiments.definition import Named, library, parse
from bookstore.lab.experiments.evidence import EXIT, Judgement
from bookstore.lab.experiments.invariants import INVARIANTS
from bookstore.lab.experiments.runner import Run
from bookstore.lab.failures import Exit, LabError
from bookstore.lab.interruption import as_one, until_interrupted
from bookstore.lab.live import Began, Ended, Machine, People, Said, Seen, ends, starts
from bookstore.lab.report.write import Result, Sheet, judgement, whole, write
from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.prerequisites import missing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from bookstore.lab.live import Ending, Teller, Verdict

ATTEMPTS = 5
"""How often an experiment is run at the most, while its generator is late."""
LAGGED = "lagged"
"""Begins the folder of a run that proved nothing."""
MARKS: dict[Judgement, Verdict] = {"valid": "ok", "invalid": "bad", "unknown": "unknown"}


def experiment(arguments: argparse.Namespace, folder: StateFolder) -> int:
    """Do what the command line says."""
    verbs = {"list": _list, "show": _show, "run": _run}
    return verbs[arguments.deed](arguments, folder)


def _list(arguments: argparse.Namespace, _: StateFolder) -> int:
    chosen = [named for named in library().values() if _has_tag(named, arguments.tag)]
    if arguments.json:
        rows = [
            {
                "name": n.name,
                "title": n.experiment.title,
                "says": n.experiment.description,
                "tags": n.experiment.tags,
                "seconds": n.seconds,
                "digest": n.digest,
            }
            for n in chosen
        ]
        print(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return Exit.OK
    width = max((len(named.name) for named in chosen), default=0)
    for named in chosen:
        print(f"{named.name:{width}}  {named.experiment.title}  [{', '.join(named.experiment.tags)}]")
    return Exit.OK


def _show(arguments: argparse.Namespace, _: StateFolder) -> int:
    print(_named(arguments.names[0]).text.decode().rstrip())
    return Exit.OK


def _run(arguments: argparse.Namespace, folder: StateFolder) -> int:
    chosen = _chosen(arguments)
    teller = Machine() if arguments.progress == "json" else People()
    as_one()
    out = folder.runs / time.strftime("%Y%m%d-%H%M%S-experiments")
    folder.open()
    out.mkdir(parents=True)
    teller.tell(Said(text=f"{len(chosen)} experiments; everything about them goes to {out}"))
    sheet = Sheet(out)
    interrupted = False
    # Those that need the same system share it.
    ordered = sorted(chosen, key=lambda named: _shape(named) != _shape(chosen[0]))
    try:
        for _, group in groupby(ordered, key=_shape):
            if interrupted := _in_one_instance(list(group), folder, sheet, arguments.port_base, teller):
                break
    except KeyboardInterrupt:
        # While a system was being started or ended: nothing was being done to it.
        interrupted = True
    finally:
        if sheet.results:
            write(sheet)
        else:
            with suppress(OSError):
                out.rmdir()
        told = out.name if sheet.results else ""
        teller.tell(Ended(state=_ending(sheet.results, interrupted=interrupted), report=told))
    if arguments.progress != "json":
        print("\n".join(["", *_told(sheet.results), "", f"report: {out / 'report.html'}"]))
    return Exit.INTERRUPTED if interrupted else EXIT[whole(sheet.results)]


def _in_one_instance(
    group: list[Named], folder: StateFolder, sheet: Sheet, port_base: int | None, teller: Teller
) -> bool:
    """Run experiments one after the other; whether somebody interrupted them."""
    teller.tell(starts())
    apart = StateFolder(folder.path / "lab")
    with running(apart, group[0].experiment.ours.instance, _quietly, port_base=port_base) as bench:
        interrupted = any(asyncio.run(_one(named, bench, sheet, teller)) for named in group)
        teller.tell(ends())
        return interrupted


async def _one(named: Named, bench: Bench, sheet: Sheet, teller: Teller) -> bool:
    """Run one, and again if its generator was late; whether somebody interrupted it."""
    into = sheet.folder / named.name
    into.mkdir()
    teller.tell(Began(name=named.name, title=named.experiment.title))
    run = Run(named, bench, into, teller)
    interrupted = await _to_its_end(run)
    for number in range(1, ATTEMPTS):
        if interrupted or not run.journal.findings.lagged:
            break
        late = run.journal.findings.lag_p99_ms
        teller.tell(Said(text=f"the generator itself was late (p99 {late:.0f} ms), so it is run again"))
        if await until_interrupted(calm(), lambda: None):
            interrupted = True
            break
        _set_aside(into, f"{LAGGED}-{number}")
        run = Run(named, bench, into, teller, lagged_before_ms=late)
        interrupted = await _to_its_end(run)
    result = Result(name=named.name, journal=run.journal)
    sheet.results.append(result)
    for event in _judged(result):
        teller.tell(event)
    return interrupted


async def _to_its_end(run: Run) -> bool:
    """The first Ctrl-C or SIGTERM ends it in order, further ones change nothing about that."""
    return await until_interrupted(
        run.go(), lambda: run.teller.tell(Said(text="interrupted: everything is taken back"))
    )


def _set_aside(folder: Path, name: str) -> None:
    """Keep what a run has left, where no report looks for it."""
    files = [path for path in folder.iterdir() if path.is_file()]
    (folder / name).mkdir()
    for path in files:
        path.rename(folder / name / path.name)


def _judged(result: Result) -> Iterator[Seen]:
    """The bites, the invariants, and what they come to."""
    findings, status = result.journal.findings, result.journal.status
    for bite in findings.bites:
        yield Seen(
            title=f"it bit: {bite.fault}",
            expected="the fault can prove that it bit",
            seen=bite.proof,
            verdict="ok" if bite.bit else "unknown",
        )
    for verdict in findings.verdicts:
        yield Seen(
            title=verdict.invariant,
            expected=(INVARIANTS[verdict.invariant].__doc__ or "").partition("\n")[0],
            seen=verdict.reason,
            verdict=MARKS[verdict.judgement],
        )
    yield Seen(
        title="verdict",
        expected=findings.expected,
        seen=f"{findings.judgement} ({status})",
        verdict=MARKS[result.whole],
    )


def _chosen(arguments: argparse.Namespace) -> list[Named]:
    named = [_named(name) for name in arguments.names]
    for each in named:
        if lines := missing(each.experiment.ours.needs):
            raise LabError(f"{each.name} can't be run: {lines[0]}.", "Get it, or run others.", Exit.USAGE)
    if arguments.all:
        for each in library().values():
            if not _has_tag(each, arguments.tag):
                continue
            if lines := missing(each.experiment.ours.needs):
                _quietly(f"{each.name} is left out: {lines[0]}")
            else:
                named.append(each)
    if not named:
        raise LabError(
            "It isn't said which experiments to run.",
            "Name some of `bookstore experiment list`, or say --all, perhaps with --tag fast.",
            Exit.USAGE,
        )
    return named


def _named(name: str) -> Named:
    if name.endswith(".json"):
        path = Path(name)
        try:
            return parse(path.stem, path.read_bytes())
        except OSError as error:
            raise LabError(f"{path} can't be read: {error.strerror}.", "See its name.", Exit.USAGE) from error
    found = library().get(name)
    if found is None:
        raise LabError(
            f"There is no experiment {name!r}.", "`bookstore experiment list` shows all.", Exit.USAGE
        )
    return found


def _has_tag(named: Named, tag: str | None) -> bool:
    return tag is None or tag in named.experiment.tags


def _shape(named: Named) -> str:
    return msgspec.json.encode(named.experiment.ours.instance, order="sorted").decode()


def _ending(results: list[Result], *, interrupted: bool) -> Ending:
    """How it ended: of one experiment its own verdict, of several what they come to."""
    if interrupted:
        return "interrupted"
    if any(result.journal.status != "completed" for result in results) or not results:
        return "error"
    return judgement(results)


def _told(results: list[Result]) -> list[str]:
    width = max((len(result.name) for result in results), default=0)
    return [
        f"{live.MARKS[MARKS[r.whole]]} {r.name:{width}}  {r.journal.findings.judgement:8}"
        f"{'as it should be' if r.as_expected else 'NOT as it should be':20}  {r.journal.duration:5.1f} s"
        for r in results
    ]


def _quietly(line: str) -> None:
    sys.stderr.write(f"  {line}\n")

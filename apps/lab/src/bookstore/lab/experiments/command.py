"""`bookstore experiment list | show | run`."""

# ruff: noqa: T201 - printing is what a command does

from __future__ import annotations

import asyncio
import signal
import sys
import time
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bookstore.lab.experiments.bench import Bench, running
from bookstore.lab.experiments.definition import Named, library, parse
from bookstore.lab.experiments.evidence import EXIT, Judgement
from bookstore.lab.experiments.runner import Run
from bookstore.lab.failures import Exit, LabError
from bookstore.lab.report.write import Result, Sheet, write
from bookstore.lab.system.folder import StateFolder

if TYPE_CHECKING:
    import argparse

MARKS = {"valid": "✓", "invalid": "✗", "unknown": "?"}


def experiment(arguments: argparse.Namespace, folder: StateFolder) -> int:
    """Do what the command line says."""
    verbs = {"list": _list, "show": _show, "run": _run}
    return verbs[arguments.deed](arguments, folder)


def _list(arguments: argparse.Namespace, _: StateFolder) -> int:
    chosen = [named for named in library().values() if _has_tag(named, arguments.tag)]
    if arguments.json:
        rows = [
            {"name": n.name, "title": n.experiment.title, "tags": n.experiment.tags, "digest": n.digest}
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
    out = folder.path / "runs" / time.strftime("%Y%m%d-%H%M%S-experiments")
    folder.open()
    out.mkdir(parents=True)
    print(f"{len(chosen)} experiments; everything about them goes to {out}", flush=True)
    sheet = Sheet(out)
    interrupted = False
    # Those that need the same system share it.
    ordered = sorted(chosen, key=lambda named: _shape(named) != _shape(chosen[0]))
    for _, group in groupby(ordered, key=_shape):
        interrupted = _in_one_instance(list(group), folder, sheet, arguments.port_base)
        write(sheet)
        if interrupted:
            break
    print("\n".join(["", *_told(sheet.results), "", f"report: {out / 'report.html'}"]))
    if interrupted:
        return Exit.INTERRUPTED
    return EXIT[_whole(sheet.results)]


def _in_one_instance(group: list[Named], folder: StateFolder, sheet: Sheet, port_base: int | None) -> bool:
    """Run experiments one after the other; whether somebody interrupted them."""
    print("starting a system of its own", flush=True)
    apart = StateFolder(folder.path / "lab")
    with running(apart, group[0].experiment.ours.instance, _quietly, port_base=port_base) as bench:
        for named in group:
            if asyncio.run(_one(named, bench, sheet)):
                return True
    return False


async def _one(named: Named, bench: Bench, sheet: Sheet) -> bool:
    """Run one; the first Ctrl-C or SIGTERM ends it in order, further ones change nothing about that."""
    into = sheet.folder / named.name
    into.mkdir()
    began = time.monotonic()
    print(f"\n{named.name}: {named.experiment.title}", flush=True)

    def say(line: str) -> None:
        print(f"  {time.monotonic() - began:5.1f} s  {line}", flush=True)

    run = Run(named, bench, into, say)
    task = asyncio.create_task(run.go())
    loop = asyncio.get_running_loop()
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            say("interrupted: everything is taken back")
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
    result = Result(name=named.name, journal=run.journal)
    sheet.results.append(result)
    for bite in run.journal.findings.bites:
        say(f"{'it bit' if bite.bit else 'it did NOT bite'}: {bite.fault}: {bite.proof}")
    for verdict in run.journal.findings.verdicts:
        say(f"{MARKS[verdict.judgement]} {verdict.invariant}: {verdict.reason}")
    say(f"{run.journal.findings.judgement} ({run.journal.status})")
    return interrupted


def _chosen(arguments: argparse.Namespace) -> list[Named]:
    named = [_named(name) for name in arguments.names]
    if arguments.all:
        named += [each for each in library().values() if _has_tag(each, arguments.tag)]
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


def _whole(results: list[Result]) -> Judgement:
    """Invalid if any is; unknown if any is that shouldn't be; the null experiment has to be unknown."""
    judgements: list[Judgement] = [result.whole for result in results]
    for wanted in ("invalid", "unknown"):
        if wanted in judgements:
            return wanted
    return "valid" if judgements else "unknown"


def _told(results: list[Result]) -> list[str]:
    width = max((len(result.name) for result in results), default=0)
    return [
        f"{MARKS[r.whole]} {r.name:{width}}  {r.journal.findings.judgement:8}"
        f"{'as it should be' if r.as_expected else 'NOT as it should be':20}  {r.journal.duration:5.1f} s"
        for r in results
    ]


def _quietly(line: str) -> None:
    sys.stderr.write(f"  {line}\n")

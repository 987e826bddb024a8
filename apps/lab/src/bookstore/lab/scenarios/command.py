"""`bookstore scenario list | run 000 ...`: what the guides say beside what is seen."""

# ruff: noqa: T201 - printing is what a command does

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, TextIO

import msgspec

from bookstore.lab.experiments.bench import running
from bookstore.lab.experiments.definition import Instance
from bookstore.lab.failures import Exit, LabError
from bookstore.lab.interruption import as_one, until_interrupted
from bookstore.lab.live import MARKS, Began, Ended, Entered, Machine, Said, Seen, ends, starts
from bookstore.lab.scenarios.guide import Guide, library
from bookstore.lab.scenarios.play import Play, Played
from bookstore.lab.scenarios.report import Ending, ending, rows_of, write
from bookstore.lab.system.folder import StateFolder

if TYPE_CHECKING:
    import argparse

    from bookstore.lab.live import Ending as Outcome
    from bookstore.lab.live import Event, Teller

EXIT: dict[Ending, int] = {
    "passed": Exit.OK,
    "failed": Exit.FAILED,
    "unknown": 2,
    "interrupted": Exit.INTERRUPTED,
}


class SideBySide:
    """Tells people what a guide says, and below it what was seen."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def tell(self, event: Event) -> None:
        """Print it; the end is told by the command itself."""
        match event:
            case Began():
                self._print(f"\n{event.name}: {event.title}")
            case Entered():
                self._print(f"\n  {event.phase}")
            case Said():
                self._print(f"  - {event.text}")
            case Seen():
                self._print(
                    f"  {MARKS[event.verdict]} the guide: {event.expected}\n      seen:  {event.seen}"
                )
            case Ended():
                pass

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def scenario(arguments: argparse.Namespace, folder: StateFolder) -> int:
    """Do what the command line says."""
    guides = library()
    if arguments.deed == "list":
        rows = [{"number": guide.number, "title": guide.title} for guide in guides.values()]
        told = "\n".join(f"{row['number']}  {row['title']}" for row in rows)
        print(msgspec.json.format(msgspec.json.encode(rows)).decode() if arguments.json else told)
        return Exit.OK
    machine = arguments.progress == "json"
    as_one()
    folder.open()
    played = _all(_chosen(arguments.names, guides), folder, arguments.port_base, _teller(arguments))
    if arguments.json and not machine:
        rows = [
            {"guide": each.guide.number, **rows_of(each), "observations": each.observations}
            for each in played
        ]
        print(msgspec.json.format(msgspec.json.encode(rows)).decode())
    elif not machine:
        print("\n".join(["", *map(_told, played)]))
    return EXIT[ending(played)]


def _teller(arguments: argparse.Namespace) -> Teller:
    if arguments.progress == "json":
        return Machine()
    return SideBySide(sys.stderr if arguments.json else sys.stdout)


def _chosen(names: list[str], guides: dict[str, Guide]) -> list[Guide]:
    if not names or "all" in names:
        return list(guides.values())
    if unknown := [name for name in names if name not in guides]:
        raise LabError(
            f"There is no guide {unknown[0]}.", f"There are {', '.join(guides)}, or all.", Exit.USAGE
        )
    return [guides[name] for name in names]


def _all(guides: list[Guide], folder: StateFolder, port_base: int | None, teller: Teller) -> list[Played]:
    """Go through guides one after the other, until somebody interrupts; the report is there in any case."""
    out = folder.runs / time.strftime("%Y%m%d-%H%M%S-scenarios")
    played: list[Played] = []
    state: Outcome = "error"
    try:
        for guide in guides:
            played.append(Played(guide, interrupted=True))
            _play(played[-1], folder, port_base, teller)
            if played[-1].interrupted:
                break
        state = ending(played)
    except KeyboardInterrupt:
        # While a system was being started or ended.
        state = "interrupted"
    finally:
        if state != "error":
            out.mkdir(parents=True)
            write(out, played)
        teller.tell(Ended(state=state, report="" if state == "error" else out.name))
    return played


def _play(played: Played, folder: StateFolder, port_base: int | None, teller: Teller) -> None:
    guide = played.guide
    teller.tell(Began(name=guide.number, title=guide.title))
    teller.tell(starts())
    instance = Instance(replicas=guide.replicas)
    apart = StateFolder(folder.path / "lab")
    with running(apart, instance, lambda _: None, port_base=port_base) as bench:
        played.interrupted = asyncio.run(
            until_interrupted(
                Play(bench, teller).through(guide, played),
                lambda: teller.tell(Said(text="interrupted: everything is taken back")),
            )
        )
        teller.tell(ends())
    for line in guide.elsewhere:
        teller.tell(Said(text=line))


def _told(played: Played) -> str:
    number = played.guide.number
    if played.missing:
        return f"? {number}  {played.missing}"
    mark, held = "✓" if played.holds else "✗", f"{played.held} of {len(played.observations)}"
    return f"{mark} {number}  {held} observations hold"

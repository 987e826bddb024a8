"""`bookstore scenario run 000 | ... | all`: what the guides say beside what is seen."""

# ruff: noqa: T201 - printing is what a command does

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import msgspec

from bookstore.lab.experiments.bench import running
from bookstore.lab.experiments.definition import Instance
from bookstore.lab.failures import Exit, LabError
from bookstore.lab.scenarios.guide import Guide, library
from bookstore.lab.scenarios.play import Play, Played
from bookstore.lab.system.folder import StateFolder

if TYPE_CHECKING:
    import argparse

    from bookstore.lab.scenarios.seen import Observation

UNKNOWN = 2


def scenario(arguments: argparse.Namespace, folder: StateFolder) -> int:
    """Do what the command line says."""
    guides = library()
    if arguments.deed == "list":
        for guide in guides.values():
            print(f"{guide.number}  {guide.title}")
        return Exit.OK
    played = [_play(guide, folder, arguments) for guide in _chosen(arguments.names, guides)]
    if arguments.json:
        rows = [
            {"guide": p.guide.number, "holds": p.holds, "missing": p.missing, "observations": p.observations}
            for p in played
        ]
        print(msgspec.json.format(msgspec.json.encode(rows)).decode())
    else:
        print("\n".join(["", *map(_told, played)]))
    if all(each.holds for each in played):
        return Exit.OK
    return UNKNOWN if all(each.holds or each.missing for each in played) else Exit.FAILED


def _chosen(names: list[str], guides: dict[str, Guide]) -> list[Guide]:
    if not names or "all" in names:
        return list(guides.values())
    if unknown := [name for name in names if name not in guides]:
        raise LabError(
            f"There is no guide {unknown[0]}.", f"There are {', '.join(guides)}, or all.", Exit.USAGE
        )
    return [guides[name] for name in names]


def _play(guide: Guide, folder: StateFolder, arguments: argparse.Namespace) -> Played:
    out = sys.stderr if arguments.json else sys.stdout
    print(f"\n{guide.number}: {guide.title}", file=out, flush=True)
    title = ""

    def tell(step: str, observation: Observation) -> None:
        nonlocal title
        if step != title:
            title = step
            print(f"\n  {step}", file=out)
        mark = "✓" if observation.holds else "✗"
        print(
            f"  {mark} the guide: {observation.says}\n      seen:  {observation.seen}", file=out, flush=True
        )

    folder.open()
    instance = Instance(replicas=guide.replicas)
    apart = StateFolder(folder.path / "lab")
    with running(apart, instance, lambda _: None, port_base=arguments.port_base) as bench:
        played = asyncio.run(Play(bench, tell).through(guide))
    for line in guide.elsewhere:
        print(f"  - {line}", file=out)
    return played


def _told(played: Played) -> str:
    number = played.guide.number
    if played.missing:
        return f"? {number}  {played.missing}"
    held = sum(observation.holds for _, observation in played.observations)
    return f"{'✓' if played.holds else '✗'} {number}  {held} of {len(played.observations)} observations hold"

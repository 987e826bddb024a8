"""The operator's verbs: `python -m bookstore.orders queue status`. They need DATABASE_URL alone."""

# ruff: noqa: T201 - printing is what a command does

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence

import msgspec

from bookstore.contracts.queue import Job, JobHistory, QueueStatus
from bookstore.orders.queue.desk import Desk
from bookstore.service.command import EXIT_SETTINGS
from bookstore.service.database import Database, DatabaseUnavailable

_EXIT_FAILED = 1
_PAGE = 100


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit code."""
    asked = _parser().parse_args(arguments)
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.stderr.write("queue: DATABASE_URL: required, but not set\n")
        return EXIT_SETTINGS
    # What the pool tells of each try to connect, the command says once.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    try:
        return asyncio.run(_do(asked, url))
    except DatabaseUnavailable as error:
        sys.stderr.write(f"queue: {error.detail}\n")
        return _EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="for scripts")
    parser = argparse.ArgumentParser(prog="queue", description="Looks after the queue of orders.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=text, description=text, parents=[shared])

    verb("status", "how many jobs there are, and how they stand")
    verb("dead", "the jobs that were given up, the newest first")
    verb("show", "a job with all that has happened to its order").add_argument("job", type=int)
    for name, text in (("redrive", "try dead jobs again"), ("purge", "put dead jobs away for good")):
        which = verb(name, text).add_mutually_exclusive_group(required=True)
        which.add_argument("job", type=int, nargs="*", default=[], help="their numbers")
        which.add_argument("--all", action="store_true", help="all that are dead")
    verb("pause", "begin nothing new; orders are taken as ever")
    verb("resume", "go on after a pause")
    return parser


async def _do(asked: argparse.Namespace, url: str) -> int:
    async with Database(url, size=1, acquire=3.0) as database:
        desk = Desk(database)
        match asked.verb:
            case "pause" | "resume" as verb:
                await (desk.pause() if verb == "pause" else desk.resume())
                _print(asked, status := await desk.status(), _status_lines(status))
            case "status":
                _print(asked, status := await desk.status(), _status_lines(status))
            case "dead":
                total, jobs = await desk.dead(_PAGE, 0)
                _print(asked, jobs, [*map(_line, jobs), f"{total} dead, {len(jobs)} shown"])
            case "show":
                history = await desk.show(asked.job)
                if history is None:
                    sys.stderr.write(f"queue: there is no job {asked.job}\n")
                    return _EXIT_FAILED
                _print(asked, history, _history_lines(history))
            case "redrive":
                done = await desk.redrive(None if asked.all else asked.job)
                _print(asked, {"redriven": done}, [f"{done} tried again"])
                return _all_done(asked, done)
            case _:
                done = await desk.purge(None if asked.all else asked.job)
                _print(asked, {"purged": done}, [f"{done} put away"])
                return _all_done(asked, done)
    return 0


def _all_done(asked: argparse.Namespace, done: int) -> int:
    """The exit code after something was done to the jobs that were named."""
    missed = len(set(asked.job)) - done
    if asked.all or missed == 0:
        return 0
    sys.stderr.write(f"queue: {missed} of these aren't dead\n")
    return _EXIT_FAILED


def _print(asked: argparse.Namespace, value: object, lines: Sequence[str]) -> None:
    if asked.json:
        print(msgspec.json.format(msgspec.json.encode(value)).decode())
    else:
        print("\n".join(lines))


def _status_lines(status: QueueStatus) -> list[str]:
    lines = [f"paused since {status.paused_since:%Y-%m-%d %H:%M:%S}"] if status.paused_since else []
    lines.append(f"{'':10}{'open':>8}{'waiting':>9}{'rung':>7}{'in hand':>9}{'parked':>8}{'dead':>6}  oldest")
    for name, kind in status.kinds.items():
        lines.append(
            f"{name:10}{kind.unfinished:>8}{kind.waiting:>9}{kind.published:>7}{kind.in_hand:>9}"
            f"{kind.parked:>8}{kind.dead:>6}  {kind.oldest_age_seconds:.1f} s"
        )
    return lines


def _line(job: Job) -> str:
    cause = f": {job.cause}" if job.cause else ""
    return f"job {job.id} {job.kind} order {job.order_id} ({job.order_status}) {job.state}{cause}"


def _history_lines(history: JobHistory) -> list[str]:
    events = [
        f"{event.at:%Y-%m-%d %H:%M:%S}  {event.from_state or '-'} -> {event.to_state}: {event.cause}"
        for event in history.events
    ]
    return [*map(_line, history.jobs), *events]

"""The verbs of the `bookstore` command."""

# ruff: noqa: T201 - printing is what a command does

from __future__ import annotations

import errno
import itertools
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from bookstore.lab import laboratory
from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system import logs
from bookstore.lab.system.console import has_console, link
from bookstore.lab.system.credentials import POSTGRES
from bookstore.lab.system.folder import StateFolder, default_folder, folder_error
from bookstore.lab.system.lifecycle import (
    AlreadyRunningError,
    Start,
    down,
    join,
    stores_of,
    up_apart,
    up_here,
)
from bookstore.lab.system.members import run_command
from bookstore.lab.system.operate import asks_for_help, bare, hand_on, orders
from bookstore.lab.system.plan import accounts_command
from bookstore.lab.system.status import take_status
from bookstore.lab.system.table import table
from bookstore.lab.system.tools import missing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

FOLDER_ERRORS = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip
"""What can be wrong with the state folder, and so with all that a command writes."""
MARKS = {"ok": "✓", "note": "!", "bad": "✗", "absent": "·"}


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line says, and return the exit code."""
    folder = StateFolder((arguments.state or default_folder()).absolute())
    verbs: dict[str, Callable[[argparse.Namespace, StateFolder], int]] = {
        "up": _up,
        "down": _down,
        "status": _status,
        "console": _console,
        "logs": _logs,
        "reset": _reset,
        "doctor": _doctor,
        "accounts": _accounts,
        "gateway": _gateway,
        "demo": _demo,
        "orders": _orders,
        "playground": _playground,
        **laboratory.VERBS,
    }
    try:
        return verbs[arguments.verb](arguments, folder)
    except OSError as error:
        if error.errno not in FOLDER_ERRORS:
            raise
        raise folder_error(folder.path, error) from error


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


def _show(folder: StateFolder) -> None:
    print()
    print("\n".join(table(take_status(folder))))
    print(f"state and passwords are in {folder.path}")


def _up(arguments: argparse.Namespace, folder: StateFolder) -> int:
    start = Start(
        folder=folder,
        port_base=arguments.port_base,
        replicas=dict(arguments.replicas),
        observe=arguments.observe,
        proxied=arguments.proxied,
    )
    began = time.monotonic()

    def ready() -> None:
        _show(folder)
        print(f"ready after {time.monotonic() - began:.1f} s; {_next_step(arguments)}", flush=True)
        _show_console(folder)

    try:
        print("starting the bookstore", flush=True)
        for line in missing() if start.observe else ():
            _say(line)
        if arguments.detach:
            up_apart(start, _say)
            ready()
        else:
            up_here(start, ready)
            print("everything has ended")
    except AlreadyRunningError:
        print(f"it runs already, with its state in {folder.path}")
        join(folder)
        _show(folder)
        _show_console(folder)
    return Exit.OK


def _show_console(folder: StateFolder) -> None:
    """The way in, for the terminal alone; a system without one is as ready as any other."""
    if not has_console(folder):
        return
    try:
        print(f"console: {link(folder).url}", flush=True)
    except LabError as failure:
        print(f"{failure.cause} {failure.advice}", flush=True)


def _console(arguments: argparse.Namespace, folder: StateFolder) -> int:
    fresh = link(folder)
    if arguments.open:
        import webbrowser  # noqa: PLC0415 - looks for browsers

        if not webbrowser.open(fresh.url):
            print("no browser is found here; open this:", file=sys.stderr)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(fresh)).decode())
    else:
        print(fresh.url)
    return Exit.OK


def _next_step(arguments: argparse.Namespace) -> str:
    return "end it with `bookstore down`" if arguments.detach else "end it with Ctrl-C"


def _down(_: argparse.Namespace, folder: StateFolder) -> int:
    print("everything has ended" if down(folder, _say) else f"nothing runs with its state in {folder.path}")
    return Exit.OK


def _status(arguments: argparse.Namespace, folder: StateFolder) -> int:
    snapshot = take_status(folder)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(snapshot.status)).decode())
    elif snapshot.rows:
        print(f"the system is {snapshot.status.state}")
        print("\n".join(table(snapshot)))
    else:
        print(f"nothing runs with its state in {folder.path}; `bookstore up` starts it")
    return Exit.NOT_RUNNING if snapshot.status.state == "stopped" else Exit.OK


def _logs(arguments: argparse.Namespace, folder: StateFolder) -> int:
    def show(entry: logs.Entry) -> None:
        print(entry.raw if arguments.json else entry, flush=arguments.follow)

    for entry in logs.recent(logs.choose(folder, arguments.service), arguments.lines):
        show(entry)
    if arguments.follow:
        try:
            for entry in logs.Follower(lambda: logs.choose(folder, arguments.service)):
                show(entry)
        except KeyboardInterrupt:
            pass
    return Exit.OK


def _reset(arguments: argparse.Namespace, folder: StateFolder) -> int:
    if not folder.exists:
        print(f"there is nothing in {folder.path}")
        return Exit.OK
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise LabError(
                "All data would be removed, and nobody is at the keyboard to confirm it.",
                "Use --yes.",
                Exit.USAGE,
            )
        try:
            answer = input(f"End the system and remove all its data in {folder.path}? [y/N] ")
        except EOFError:  # Ctrl-D
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing was removed")
            return Exit.FAILED
    down(folder, _say)
    removed = folder.remove_data()
    print(
        f"removed {', '.join(removed)} from {folder.path}"
        if removed
        else f"there is nothing in {folder.path}"
    )
    return Exit.OK


def _doctor(arguments: argparse.Namespace, folder: StateFolder) -> int:
    from bookstore.lab.system.doctor import examine  # noqa: PLC0415 - only this verb needs it
    from bookstore.lab.system.extras import look_around  # noqa: PLC0415

    findings = itertools.chain(examine(folder), look_around())
    if arguments.json:
        findings = list(findings)
        print(msgspec.json.format(msgspec.json.encode(findings)).decode())
    bad = 0
    for finding in findings:
        if not arguments.json:
            part = f"{finding.part}: " if finding.part != "start" else ""
            print(f"{MARKS[finding.verdict]} {part}{finding.text}", flush=True)
        bad += finding.verdict == "bad"
    return Exit.FAILED if bad else Exit.OK


def _accounts(arguments: argparse.Namespace, folder: StateFolder) -> int:
    if not arguments.words:
        raise LabError(
            "`bookstore accounts` needs a command.",
            "Try `bookstore accounts create-user --help`.",
            Exit.USAGE,
        )
    if asks_for_help(arguments.words):
        return hand_on("accounts", arguments.words)
    start = Start(folder=folder)
    with stores_of(start, _complain) as addresses:
        if POSTGRES not in addresses:
            raise LabError("The system is just stopping.", "Try again in a moment.", Exit.NOT_RUNNING)
        return run_command(accounts_command(start.topology, folder, addresses, start.caller), arguments.words)


def _gateway(arguments: argparse.Namespace, _: StateFolder) -> int:
    if arguments.words[:1] != ["check"]:
        raise LabError(
            "`bookstore gateway` only has the command `check`.",
            "Try `bookstore gateway check FILE`.",
            Exit.USAGE,
        )
    return hand_on("gateway", arguments.words)


def _complain(line: str) -> None:
    # Standard output is for what accounts says.
    print(f"  {line}", file=sys.stderr, flush=True)


def _demo(arguments: argparse.Namespace, folder: StateFolder) -> int:
    from bookstore.lab.demo.command import demo  # noqa: PLC0415 - brings an HTTP client with it

    return demo(Start(folder=folder, port_base=arguments.port_base), pause=not arguments.yes)


def _playground(arguments: argparse.Namespace, folder: StateFolder) -> int:
    del folder
    return hand_on("playground", [arguments.words], bare())


def _orders(arguments: argparse.Namespace, folder: StateFolder) -> int:
    return orders(arguments.words, folder)

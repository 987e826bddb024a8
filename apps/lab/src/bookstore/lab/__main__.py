"""The `bookstore` command."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bookstore.lab import laboratory
from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system import commands
from bookstore.lab.system.topology import SYSTEM

if TYPE_CHECKING:
    from bookstore.lab.laboratory import AddVerb

DESCRIPTION = "Starts the whole bookstore on this machine, watches it, shows it, and puts it to the test."
EPILOG = """\
exit codes: 0 done, 1 failed, 2 wrong usage, 3 not running, 10 state folder unusable, 11 port taken,
12 bad setting, 13 store unreachable or unusable, 14 a service failed to start, 15 disk full, 130 interrupted

DATABASE_URL (an administrator's) and REDIS_URL name servers of your own, used instead of the embedded ones.
"""
MOST_REPLICAS = 16


def _replicas(text: str) -> tuple[str, int]:
    name, _, count = text.partition("=")
    apps = [service.name for service in SYSTEM.services if service.kind == "app" and not service.apart]
    if name not in apps:
        raise argparse.ArgumentTypeError(f"{text!r} doesn't begin with one of {', '.join(apps)}")
    if not count.isdecimal() or not 1 <= int(count) <= MOST_REPLICAS:
        raise argparse.ArgumentTypeError(f"{text!r} doesn't end with a number from 1 to {MOST_REPLICAS}")
    return name, int(count)


def _lines(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} isn't a whole number from 0 on")
    return int(text)


def _shared() -> argparse.ArgumentParser:
    """What every verb takes, wherever it stands."""
    shared = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    shared.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="the state folder (BOOKSTORE_STATE; else ~/.local/state/bookstore, for root /var/lib/bookstore)",
    )
    return shared


def _workers(text: str) -> tuple[str, int]:
    return _replicas(f"orders-worker={text}")


def _parser(shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bookstore",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bookstore {version('bookstore-lab')}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=text, description=text, parents=[shared])

    _add_up(verb("up", "start everything; Ctrl-C stops it"))
    _add_operating(verb)
    _add_handed_on(verb)
    _add_demo(verb("demo", "a guided story: browse, register, order, two outages, recovery"))
    laboratory.add_verbs(verb)
    return parser


def _add_up(up: argparse.ArgumentParser) -> None:
    up.add_argument(
        "--detach", action="store_true", help="return when everything is healthy; `down` stops it"
    )
    up.add_argument(
        "--port-base", type=laboratory.port_base, metavar="N", help="fixed ports: gateway N, books N+1, ..."
    )
    up.add_argument(
        "--replicas",
        type=_replicas,
        action="append",
        default=[],
        metavar="NAME=N",
        help="several processes of a service (books=2); give it again for each further service",
    )
    up.add_argument(
        "--workers",
        type=_workers,
        action="append",
        dest="replicas",
        metavar="N",
        help="several workers: the same as --replicas orders-worker=N",
    )
    up.add_argument(
        "--observe", action="store_true", help="Prometheus, Jaeger and Grafana as well, if they are installed"
    )
    up.add_argument(
        "--proxied",
        action="store_true",
        help="proxies between the parts, so that the console can slow down, throttle or cut a connection",
    )


def _add_operating(verb: AddVerb) -> None:
    """To look at what runs, and to end it."""
    verb("down", "stop everything, and whatever a killed start has left behind")
    status = verb("status", "show what is running, and its health")
    status.add_argument("--json", action="store_true", help="for scripts, with the stores' passwords")
    console = verb("console", "print a new link to the console: works once, for ten minutes")
    console.add_argument("--open", action="store_true", help="open it in a browser")
    console.add_argument("--json", action="store_true", help="for scripts")
    logs = verb("logs", "show the logs")
    logs.add_argument("service", nargs="?", help="a service (books) or an instance (books-1); by default all")
    logs.add_argument("-f", "--follow", action="store_true", help="keep showing new lines")
    logs.add_argument(
        "-n", "--lines", type=_lines, default=100, metavar="N", help="how many of the last lines (100)"
    )
    logs.add_argument("--json", action="store_true", help="the lines exactly as they were written")
    reset = verb("reset", "stop everything and remove all data")
    reset.add_argument("--yes", action="store_true", help="don't ask")
    doctor = verb("doctor", "look for what could be wrong on this machine, or missing for optional parts")
    doctor.add_argument("--json", action="store_true", help="for scripts")


def _add_handed_on(verb: AddVerb) -> None:
    """What services' own commands do."""
    orders = verb("orders", "look after the queue of jobs: `bookstore orders queue status`")
    orders.add_argument("words", nargs=argparse.REMAINDER, metavar="queue VERB", help="see `queue --help`")
    accounts = verb("accounts", "operators and staff, and the keys of tokens, by accounts' own command")
    accounts.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="WORDS",
        help="create-user --email E --role ops|staff, keys list, keys rotate; add --help to learn more",
    )
    gateway = verb("gateway", "the gateway's own command: check a file of routes")
    gateway.add_argument("words", nargs=argparse.REMAINDER, metavar="WORDS", help="check FILE")
    playground = verb("playground", "a client with every protection, shown without a server")
    playground.add_argument(
        "words", choices=["run"], metavar="run", help="play every scene; takes half a minute"
    )


def _add_demo(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("--yes", action="store_true", help="run it through without pauses")
    demo.add_argument(
        "--port-base", type=laboratory.port_base, metavar="N", help="fixed ports, if it starts the system"
    )


def _arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What is said; names may stand behind options too (`experiment run --json NAME`)."""
    arguments, rest = parser.parse_known_args()
    if (rest and not hasattr(arguments, "names")) or any(word.startswith("-") for word in rest):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.names += rest
    return arguments


def main() -> None:
    """Run the command and exit with its code."""
    shared = _shared()
    arguments = _arguments(_parser(shared))
    if isinstance(words := getattr(arguments, "words", None), list):
        # The words of another command end with ours, if somebody adds it at the end.
        ours, arguments.words = shared.parse_known_args(cast("list[str]", words))
        arguments.state = ours.state or arguments.state
    try:
        code = commands.run(arguments)
    except LabError as failure:
        sys.stderr.write("\n".join([*failure.lines(), ""]))
        code = failure.code
    except BrokenPipeError:
        # Whoever read our output has seen enough (`bookstore logs | head`).
        sys.stderr.close()
        code = Exit.OK
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()

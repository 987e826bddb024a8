"""The verbs that put a system to the test: load, experiments, scenarios, reports, contracts.

What each needs is imported when it is used, so that `bookstore status` stays quick.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bookstore.lab.system.folder import StateFolder


LOWEST_PORT = 1024
HIGHEST_BASE = 65_000


class AddVerb(Protocol):
    """Adds a verb to the command line."""

    def __call__(self, name: str, text: str) -> argparse.ArgumentParser:
        """Its parser."""
        ...


def add_verbs(verb: AddVerb) -> None:
    """Add all verbs."""
    _add_load(verb("load", "send customers to the running system, and measure what they get"))
    _add_experiment(verb("experiment", "break a system of its own on purpose, and prove what held"))
    scenario = verb("scenario", "go through the guides on a system of its own: what they say, what is seen")
    scenario.add_argument("deed", choices=("list", "run"), help="what to do with guides")
    scenario.add_argument("names", nargs="*", metavar="NUMBER", help="000 to 004, or all")
    scenario.add_argument(
        "--port-base", type=port_base, metavar="N", help="the ports of the system of its own"
    )
    scenario.add_argument("--json", action="store_true", help="for scripts")
    _add_progress(scenario)
    report = verb("report", "show a run of experiments, and write its page again")
    report.add_argument(
        "run", nargs="?", metavar="RUN", help="the name of a run, or its folder; by default the last one"
    )
    report.add_argument("--json", action="store_true", help="for scripts")
    _add_contracts(verb("contracts", "what changed in the APIs, and the version that it asks for"))


def _add_contracts(contracts: argparse.ArgumentParser) -> None:
    contracts.epilog = (
        "exit codes of diff: 0 each version is high enough, 1 one is too low, 2 it can't be compared"
    )
    contracts.add_argument(
        "deed", choices=("diff", "write"), help="compare with a release, or write the documents again"
    )
    contracts.add_argument("tag", nargs="?", help="a tag or commit; by default each member's own last tag")
    contracts.add_argument("--json", action="store_true", help="for scripts")


def _add_load(load: argparse.ArgumentParser) -> None:
    load.add_argument("--rate", type=_positive, metavar="N", help="requests a second (20; 10 with --orders)")
    load.add_argument("--seconds", type=_positive, default=10.0, metavar="S", help="for how long (10)")
    load.add_argument("--mix", metavar="MIX", help="what they ask for, by weight: browse=5,book=4,order=1")
    load.add_argument("--orders", type=_count, metavar="N", help="send this many orders and nothing else")
    load.add_argument(
        "--mode",
        type=_mode,
        metavar="M",
        help="the supplier's failure mode during the load: normal, slow, ...",
    )
    load.add_argument(
        "--gateway",
        metavar="URL",
        help="the gateway of a system on this machine that `up` didn't start: http://localhost:8080",
    )
    load.add_argument("--arrivals", choices=("constant", "poisson"), default="constant")
    load.add_argument(
        "--seed", type=int, default=7, metavar="N", help="makes the random choices repeatable (7)"
    )
    load.add_argument("--out", type=Path, metavar="DIR", help="where history, result and plot go")
    load.add_argument("--json", action="store_true", help="the result for scripts")


def _add_experiment(experiment: argparse.ArgumentParser) -> None:
    experiment.epilog = (
        "exit codes of run: 0 all as it should be, 1 an invariant is broken, 2 something isn't known"
    )
    experiment.add_argument("deed", choices=("list", "show", "run"), help="what to do with experiments")
    experiment.add_argument(
        "names", nargs="*", metavar="NAME", help="names from the list, or files of your own"
    )
    experiment.add_argument("--all", action="store_true", help="run all of them")
    experiment.add_argument(
        "--tag", metavar="TAG", help="only those with this tag (fast: all of them take some minutes)"
    )
    experiment.add_argument(
        "--port-base", type=port_base, metavar="N", help="the ports of the system of its own"
    )
    experiment.add_argument("--json", action="store_true", help="for scripts")
    _add_progress(experiment)


def _add_progress(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--progress",
        choices=("text", "json"),
        default="text",
        help="json: what happens, a line for each thing",
    )


def port_base(text: str) -> int:
    """The first of some ports, as it is typed.

    Raises:
        argparse.ArgumentTypeError: it can't be that.
    """
    number = int(text) if text.isdecimal() else -1
    if not LOWEST_PORT <= number <= HIGHEST_BASE:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number from {LOWEST_PORT} to {HIGHEST_BASE}")
    return number


def _mode(text: str) -> str:
    from bookstore.contracts.supplier import FailureMode  # noqa: PLC0415

    known = [mode.__struct_config__.tag for mode in get_args(FailureMode)]
    if text not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(known)}")
    return text


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1_000_000:  # noqa: PLR2004 - and neither NaN nor infinite
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number above 0")
    return number


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} isn't a whole number above 0")
    return int(text)


def _load(arguments: argparse.Namespace, folder: StateFolder) -> int:
    from bookstore.lab.load.command import load  # noqa: PLC0415

    return load(arguments, folder)


def _experiment(arguments: argparse.Namespace, folder: StateFolder) -> int:
    from bookstore.lab.experiments.command import experiment  # noqa: PLC0415

    return experiment(arguments, folder)


def _report(arguments: argparse.Namespace, folder: StateFolder) -> int:
    from bookstore.lab.report.command import report  # noqa: PLC0415

    return report(arguments, folder)


def _scenario(arguments: argparse.Namespace, folder: StateFolder) -> int:
    from bookstore.lab.scenarios.command import scenario  # noqa: PLC0415

    return scenario(arguments, folder)


def _contracts(arguments: argparse.Namespace, folder: StateFolder) -> int:
    from bookstore.lab.contracts.command import contracts  # noqa: PLC0415

    return contracts(arguments, folder)


VERBS: Mapping[str, Callable[[argparse.Namespace, StateFolder], int]] = {
    "load": _load,
    "experiment": _experiment,
    "report": _report,
    "scenario": _scenario,
    "contracts": _contracts,
}

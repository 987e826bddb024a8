"""`bookstore load`: customers who come whether the shop is quick or not."""

# ruff: noqa: T201 - printing is what a command does

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.interruption import as_one
from bookstore.lab.load.generator import Generator, Plan, generate
from bookstore.lab.load.ops import DEFAULT_MIX, OPS
from bookstore.lab.load.outcome import Fates, fates_of, set_mode
from bookstore.lab.load.schedule import parse_mix
from bookstore.lab.load.shop import ShopClosedError, enter_shop, open_shop
from bookstore.lab.load.summary import Summary, latencies, percentile, summarise
from bookstore.lab.load.wire import BrokenOffError, NotLoopbackError, RefusedError, loopback
from bookstore.lab.report.plot import latency_plot
from bookstore.lab.system.status import take_status

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from bookstore.lab.load.history import Request
    from bookstore.lab.system.folder import StateFolder

ORDERS_RATE = 10.0
UNKNOWN = 2
MOST_REQUESTS = 1_000_000
"""All of them are remembered, for exact percentiles."""
MODE_LONGER, LONGEST_MODE = 30.0, 86_400.0
"""Seconds after the load, and at the most, until the supplier is well again by itself: who sends the load may
be killed, and nobody is left then to tell it.
"""


class Report(msgspec.Struct, kw_only=True):
    """What `--json` prints and `load.json` holds."""

    plan: dict[str, object]
    summary: Summary
    orders: Fates | None
    history: str
    plot: str


@dataclass
class Live:
    """One line that tells how it goes: rewritten on a terminal, a new one every few seconds elsewhere."""

    due: int
    began: float
    told: float = 0.0

    def __call__(self, generator: Generator) -> None:
        """Tell it."""
        now, terminal = time.monotonic(), sys.stderr.isatty()
        if not terminal and now - self.told < 5:  # noqa: PLR2004 - seconds; a log needs fewer lines
            return
        self.told = now
        ended = latencies(generator.requests)
        bad = sum(request.done is not None and request.outcome != "ok" for request in generator.requests)
        times = f"p50 {1000 * percentile(ended, 50):.0f} ms  max {1000 * ended[-1]:.0f} ms" if ended else ""
        line = (
            f"{now - self.began:5.0f} s  {len(generator.requests)} of {self.due} sent  "
            f"{generator.under_way} under way  {bad} failed  {times}"
        )
        print(f"\r\x1b[K  {line}" if terminal else f"  {line}", end="" if terminal else "\n", file=sys.stderr)
        sys.stderr.flush()


def load(arguments: argparse.Namespace, folder: StateFolder) -> int:
    """Send the load that the command line asks for at the system that runs."""
    plan = _plan(arguments)
    urls = _urls(arguments, folder)
    out = _out(arguments.out, folder)
    as_one()
    try:
        report, requests = asyncio.run(_run(plan, urls, arguments.mode, out))
    except (ShopClosedError, RefusedError, BrokenOffError, TimeoutError) as error:
        raise LabError(
            f"The load couldn't start: {error or type(error).__name__}.",
            "Look at the system with `bookstore status`.",
            Exit.FAILED,
        ) from error
    (out / "latency.svg").write_text(latency_plot(requests))
    text = msgspec.json.format(msgspec.json.encode(report)).decode()
    (out / "load.json").write_text(text + "\n")
    print(text if arguments.json else "\n".join(_told(report)))
    return UNKNOWN if report.summary.verdict == "unknown" else Exit.OK


def _out(wanted: Path | None, folder: StateFolder) -> Path:
    if wanted is None:
        return folder.new_run("load")
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"{wanted} can't be used: {error.strerror}.", "Name another folder with --out.", Exit.USAGE
        ) from error
    return wanted


def _urls(arguments: argparse.Namespace, folder: StateFolder) -> dict[str, str]:
    """Where the services are; of a system that we didn't start, its gateway alone."""
    if arguments.gateway:
        if arguments.mode:
            raise LabError(
                "--mode works only on a system that `bookstore up` has started.",
                "Leave out --mode, or tell the supplier: POST /set_failure_mode on its control port.",
                Exit.USAGE,
            )
        try:
            loopback(arguments.gateway)
        except (NotLoopbackError, ValueError) as error:
            raise LabError(
                f"{arguments.gateway!r} can't be the gateway: {error}.",
                "Name one on this machine, like http://localhost:8080.",
                Exit.USAGE,
            ) from error
        return {"gateway": arguments.gateway.rstrip("/")}
    urls = {s.name: s.url for s in reversed(take_status(folder).status.services) if s.url}
    if "gateway" not in urls:
        raise LabError(
            f"Nothing runs with its state in {folder.path}.", "Start it: bookstore up", Exit.NOT_RUNNING
        )
    return urls


def _plan(arguments: argparse.Namespace) -> Plan:
    try:
        mix = parse_mix(arguments.mix or ("order=1" if arguments.orders else DEFAULT_MIX))
    except ValueError as error:
        raise LabError(
            f"{arguments.mix!r} isn't a mix: {error}.", f"Write one like {DEFAULT_MIX}.", Exit.USAGE
        ) from error
    if unknown := sorted(set(mix) - set(OPS)):
        raise LabError(
            f"A mix can't contain {', '.join(unknown)}.", f"It is made of {', '.join(OPS)}.", Exit.USAGE
        )
    rate = arguments.rate or (ORDERS_RATE if arguments.orders else 20.0)
    seconds = arguments.orders / rate if arguments.orders else arguments.seconds
    if rate * seconds > MOST_REQUESTS:
        raise LabError(
            f"That would be {rate * seconds:,.0f} requests, and a load has {MOST_REQUESTS:,} at the most.",
            "Ask for fewer, or for several loads.",
            Exit.USAGE,
        )
    return Plan(
        doors=[],
        rate=rate,
        seconds=seconds,
        mix=mix,
        book=0,
        run=f"load-{time.time_ns():x}",
        seed=arguments.seed,
        arrivals=arguments.arrivals,
    )


async def _run(plan: Plan, urls: dict[str, str], mode: str | None, out: Path) -> tuple[Report, list[Request]]:
    shop = await (open_shop(urls) if "books" in urls else enter_shop(urls["gateway"]))
    plan = msgspec.structs.replace(plan, doors=[urls["gateway"]], book=shop.book, headers=dict(shop.headers))
    history = out / "history.jsonl"
    if mode is not None:
        await set_mode(
            urls["supplier-control"], mode, **{"for": min(plan.seconds + MODE_LONGER, LONGEST_MODE)}
        )
    try:
        requests = await generate(plan, history, tell=Live(plan.due, time.monotonic()))
        if sys.stderr.isatty():
            print(file=sys.stderr)
    finally:
        if mode is not None:
            await set_mode(urls["supplier-control"], "normal")
    ids = [request.order for request in requests if request.order]
    fates = await fates_of(urls["orders"], ids) if mode is not None else None
    shown = msgspec.to_builtins(plan)
    shown.pop("headers")  # the token
    report = Report(
        plan=shown | {"mode": mode},
        summary=summarise(requests, plan.due),
        orders=fates,
        history=str(history),
        plot=str(out / "latency.svg"),
    )
    return report, requests


def _told(report: Report) -> list[str]:
    summary = report.summary
    lines = [
        f"{summary.sent} of {summary.due} requests sent; "
        + ", ".join(f"{count} x {status}" for status, count in summary.statuses.items())
    ]
    if summary.latency is not None:
        times = summary.latency
        lines += [
            f"ms from the scheduled start: p50 {times.p50:.1f}  p90 {times.p90:.1f}  p99 {times.p99:.1f}",
            f"                             p99.9 {times.p999:.1f}  max {times.max:.1f}",
            f"over 2.0 s: {summary.over_two_seconds}",
        ]
    if report.orders is not None:
        states = ", ".join(f"{count} {state}" for state, count in report.orders.states.items())
        lines.append(f"orders, {report.orders.seconds:.1f} s later: {states}")
    lines += [
        f"the generator's own lag: p99 {summary.lag_p99_ms:.1f} ms, max {summary.lag_max_ms:.1f} ms",
        f"verdict {summary.verdict}: {summary.reason}",
        f"history {report.history}",
        f"plot    {report.plot}",
    ]
    return lines

"""Runs one experiment: check, baseline, inject, observe, heal, drain, judge.

Whatever happens, and whoever interrupts, what was done to the system is taken back, in reverse. Only the
death of this process stops that; then the whole instance ends with it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import psutil

from bookstore.lab.experiments import gather
from bookstore.lab.experiments.bench import BENCH, Bench
from bookstore.lab.experiments.evidence import Bitten, Evidence, worst
from bookstore.lab.experiments.faults.crowd import start_generator
from bookstore.lab.experiments.faults.restore import restore
from bookstore.lab.experiments.invariants import INTERVALS, PROBE_INTERVAL, judge
from bookstore.lab.experiments.journal import Findings, Journal, Phase, Step, Stopwatch, now
from bookstore.lab.experiments.probes import everything_is_well, unfinished
from bookstore.lab.experiments.watch import Watch
from bookstore.lab.interruption import uninterrupted
from bookstore.lab.live import Entered, Said
from bookstore.lab.load import history
from bookstore.lab.load.generator import Plan
from bookstore.lab.load.shop import ShopClosedError, open_shop
from bookstore.lab.load.summary import PROMISE, lag_of, latencies, latency_of
from bookstore.lab.load.wire import BrokenOffError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bookstore.lab.experiments.definition import Activity, Named
    from bookstore.lab.live import Teller
    from bookstore.lab.load.history import Request

Value = TypeVar("Value", float, str)

FAILURES = (LookupError, ValueError, OSError, psutil.Error, ShopClosedError, RefusedError, BrokenOffError)
"""Something couldn't be done that an experiment wants: that says nothing about the system."""
LOOK_SECONDS = 0.25
CHECK_SECONDS = 45.0
FALL_SECONDS = 20.0
"""For requests that are still under way when the load has ended, which wait for 10 s at most."""
MOST_SECONDS = 3600.0
"""The load is ended when the phases are over, which take as long as they take."""
ROLLBACK_SECONDS = 60.0


@dataclass
class Run:
    """One run of one experiment on a bench."""

    named: Named
    bench: Bench
    folder: Path
    teller: Teller
    journal: Journal = field(default_factory=Journal)
    marks: dict[str, float] = field(default_factory=dict[str, float])
    bites: list[Bitten] = field(default_factory=list[Bitten])
    watch: Watch | None = None
    lagged_before_ms: float | None = None

    async def go(self) -> Journal:
        """Run it; the journal is written however it ends."""
        stopwatch, ours = Stopwatch(), self.named.experiment.ours
        BENCH.set(self.bench)
        self.bench.bites.clear()
        self.bench.histories.clear()
        self.bench.run_folder = str(self.folder)
        self.journal.experiment = msgspec.json.decode(self.named.text)
        findings = Findings(
            experiment=self.named.name,
            digest=self.named.digest,
            judgement="unknown",
            expected=ours.expected,
            verdicts=[],
            bites=[],
            lagged_before_ms=self.lagged_before_ms,
        )
        self.journal.extensions = [findings]
        try:
            async with AsyncExitStack() as stack:
                await self._phases(stack, findings)
        except asyncio.CancelledError:
            self.journal.status = "interrupted"
            raise
        except FAILURES as error:
            self.journal.status = "failed"
            self._say(f"failed: {error or type(error).__name__}")
            findings.bites = self.bites
        finally:
            findings.restored = await everything_is_restored()
            self.journal.end, self.journal.duration = now(), stopwatch.seconds
            self._write()
        return self.journal

    async def _phases(self, stack: AsyncExitStack, findings: Findings) -> None:
        if not await self._check():
            self.journal.status = "aborted"
            return
        ours = self.named.experiment.ours
        self.bench.shop = await open_shop(self.bench.urls())
        self.watch = await stack.enter_async_context(Watch(self.bench, ours.watch))
        generator = await start_generator(self._planned(), self.folder / "history.jsonl")
        stack.callback(_end, generator)
        await self._wait_for_the_first()
        self._enter(
            "baseline", f"{ours.load.rate:g} requests a second are served for {ours.phases.baseline:g} s"
        )
        await asyncio.sleep(ours.phases.baseline)
        try:
            self._enter("inject", _names(self.named.experiment.method))
            for activity in self.named.experiment.method:
                await self._do(activity, "inject", self.journal.run)
            self._enter("observe", f"the fault bites, until {ours.phases.fault:g} s after its beginning")
            # The fault's time counts from its beginning: some actions take theirs.
            left = self.marks["inject"] + ours.phases.fault - time.monotonic()
            await asyncio.sleep(max(left, 0.0))
            self.bites = [await _proved(bite.fault, bite.proof) for bite in self.bench.bites]
        finally:
            await uninterrupted(self._heal())
        well = await self._until_well(ours.phases.drain)
        await asyncio.sleep(ours.phases.after)
        _end(generator)
        await asyncio.wait_for(generator.wait(), FALL_SECONDS)
        self._enter("drain", "nothing is left to do")
        drained = await self._until_drained(ours.phases.drain)
        if named := ours.invariants.get("monitor_names"):
            await self._until_noticed(str(named["service"]))
        await self._judge(findings, drained, well)

    async def _check(self) -> bool:
        """Whether everything is as it should be before anything is done to it; it may take its time."""
        self._enter("check", self.named.experiment.steady.title)
        deadline = time.monotonic() + CHECK_SECONDS
        while not (well := await self._steady()) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
        self.journal.steady_states["before"] = well
        if not well:
            self._say("the system isn't well, so nothing is done to it")
        return well

    async def _steady(self) -> bool:
        for probe in self.named.experiment.steady.probes:
            try:
                value = await probe.function(**probe.provider.arguments)
            except (RefusedError, BrokenOffError, TimeoutError, LookupError):
                return False
            if not tolerated(value, probe.tolerance):
                return False
        return True

    def _planned(self) -> Plan:
        ours, shop = self.named.experiment.ours, self.bench.shop
        assert shop is not None  # noqa: S101 - for the type checker
        return Plan(
            doors=[row.url for row in self.bench.rows if row.name == ours.load.door],
            rate=ours.load.rate,
            seconds=MOST_SECONDS,
            mix=ours.load.mix,
            book=shop.book,
            headers=dict(shop.headers),
            run=f"{self.named.name}-{time.time_ns():x}",
            seed=ours.seed,
            arrivals=ours.load.arrivals,
        )

    async def _wait_for_the_first(self) -> None:
        path = self.folder / "history.jsonl"
        async with asyncio.timeout(FALL_SECONDS):
            while not path.exists():  # noqa: ASYNC110 - a file of another process
                await asyncio.sleep(0.01)

    async def _do(self, activity: Activity, phase: str, steps: list[Step]) -> None:
        stopwatch, start = Stopwatch(), now()
        await asyncio.sleep(activity.pauses.before)
        self._say(f"{phase}: {activity.name}")
        step = Step(activity=activity.name, phase=phase, start=start, status="succeeded", duration=0)
        steps.append(step)
        try:
            step.output = await activity.function(**activity.provider.arguments)
        except BaseException as error:
            step.status, step.output = "failed", f"{type(error).__name__}: {error}"
            raise
        finally:
            step.duration = stopwatch.seconds
        await asyncio.sleep(activity.pauses.after)

    async def _heal(self) -> None:
        """The definition's rollbacks in reverse, each tried whatever became of the others; then the rest."""
        self._enter("heal", _names(self.named.experiment.rollbacks) or "nothing has to be taken back")
        for activity in reversed(self.named.experiment.rollbacks):
            try:
                await asyncio.wait_for(self._do(activity, "heal", self.journal.rollbacks), ROLLBACK_SECONDS)
            except Exception as error:  # noqa: BLE001 - the next one is to be tried as well
                self._say(f"{activity.name} failed: {error or type(error).__name__}")
        await asyncio.wait_for(restore(), ROLLBACK_SECONDS)
        self._enter("after", "every part is well again, and customers are served")

    async def _until_well(self, seconds: float) -> float | None:
        """Seconds from the healing until every part was well; None if that took too long.

        Customers keep coming meanwhile: that they are served again has to be seen.
        """
        healed = self.marks["after"]
        while time.monotonic() - healed < seconds:
            with suppress(RefusedError, BrokenOffError, TimeoutError, LookupError):
                if await everything_is_well():
                    return round(time.monotonic() - healed, 3)
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def _until_drained(self, seconds: float) -> float | None:
        """Seconds from the healing until nothing was left to do; None if that took too long."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if await unfinished() == 0:
                return round(time.monotonic() - self.marks["after"], 3)
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def _until_noticed(self, service: str) -> None:
        """Give the monitor the time that it has to notice that a service is well again."""
        assert self.watch is not None  # noqa: S101 - for the type checker
        until = self.marks["after"] + INTERVALS * PROBE_INTERVAL
        while time.monotonic() < until and not self.watch.is_well(service):  # noqa: ASYNC110 - seen by another task
            await asyncio.sleep(LOOK_SECONDS)

    async def _judge(self, findings: Findings, drained: float | None, well: float | None) -> None:
        self._enter("judge", f"{len(self.named.experiment.ours.invariants)} invariants hold")
        evidence = await self._evidence(drained, well)
        self.journal.steady_states["after"] = well is not None
        self.journal.deviated = well is None
        findings.verdicts = judge(evidence, self.named.experiment.ours.invariants)
        findings.judgement = worst(findings.verdicts)
        findings.bites = evidence.bites
        findings.marks = {name: round(at - evidence.began, 3) for name, at in self.marks.items()}
        findings.lag_p99_ms = round(1000 * lag_of(evidence.requests)[0], 3)
        findings.phases = self._by_phase(evidence)
        # One axis for everything that is drawn: seconds since the load began.
        findings.states = _since(evidence.states, evidence.began)
        findings.metrics = _since(evidence.metrics, evidence.began)
        findings.monitor = evidence.monitor and _since(evidence.monitor, evidence.began)

    async def _evidence(self, drained: float | None, well: float | None) -> Evidence:
        bench, shop, watch = self.bench, self.bench.shop, self.watch
        assert shop is not None  # noqa: S101 - for the type checker
        assert watch is not None  # noqa: S101
        requests = history.read(self.folder / "history.jsonl")
        dropped = history.dropped(self.folder / "history.jsonl")
        for path in bench.histories:
            requests += history.read(Path(path))
            dropped += history.dropped(Path(path))
        acknowledged = {request.order for request in requests if request.order}
        return Evidence(
            requests=requests,
            due=len(requests) + dropped,
            began=min((request.due for request in requests), default=self.marks["baseline"]),
            injected=self.marks["inject"],
            healed=self.marks["after"],
            ended=time.monotonic(),
            bites=self.bites,
            orders=await gather.orders_of(bench.url("orders"), shop, acknowledged),
            effects=await gather.effects(bench.url("supplier-control")),
            stock=await gather.stock(bench.url("books"), shop),
            drained=drained,
            well_again=well,
            metrics=watch.metrics,
            states=watch.states,
            monitor=watch.monitor,
        )

    def _by_phase(self, evidence: Evidence) -> list[Phase]:
        borders = [
            ("before", evidence.began, evidence.injected),
            ("fault", evidence.injected, evidence.healed),
            ("after", evidence.healed, evidence.ended),
        ]
        return [
            _phase(name, end - start, [r for r in evidence.requests if start <= r.due < end])
            for name, start, end in borders
        ]

    def _enter(self, phase: str, expected: str = "") -> None:
        self.marks[phase] = time.monotonic()
        self.teller.tell(Entered(phase=phase, expected=expected))

    def _say(self, line: str) -> None:
        self.teller.tell(Said(text=line))

    def _write(self) -> None:
        path = self.folder / "journal.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self.journal)) + b"\n")


def tolerated(value: Any, tolerance: Any) -> bool:
    """Whether a value is within a tolerance: equal to it, or for numbers between the two of a list."""
    match tolerance:
        case [low, high]:
            return bool(low <= value <= high)
        case _:
            return bool(value == tolerance)


async def everything_is_restored() -> bool:
    """Take back whatever is still there, and say whether that worked."""
    try:
        await uninterrupted(asyncio.wait_for(restore(), ROLLBACK_SECONDS))
    except (LookupError, OSError, TimeoutError):
        return False
    return True


def _names(activities: list[Activity]) -> str:
    return ", ".join(activity.name for activity in activities)


async def _proved(fault: str, proof: Callable[[], Any]) -> Bitten:
    try:
        bit, text = await proof()
    except Exception as error:  # noqa: BLE001 - a proof that can't be had is none
        return Bitten(fault, False, f"there is no proof: {type(error).__name__}: {error}")
    return Bitten(fault, bit, text)


def _since(lanes: dict[str, list[tuple[float, Value]]], began: float) -> dict[str, list[tuple[float, Value]]]:
    return {name: [(round(at - began, 3), said) for at, said in seen] for name, seen in lanes.items()}


def _end(generator: asyncio.subprocess.Process) -> None:
    if generator.returncode is None:
        generator.terminate()


def _phase(name: str, seconds: float, requests: list[Request]) -> Phase:
    outcomes = [request.outcome for request in requests]
    return Phase(
        name=name,
        seconds=round(seconds, 3),
        sent=len(requests),
        ok=outcomes.count("ok"),
        refused=outcomes.count("refused"),
        unknown=outcomes.count("unknown"),
        latency=latency_of(requests),
        over_two_seconds=sum(seconds > PROMISE for seconds in latencies(requests)),
    )

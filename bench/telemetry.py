"""What traces cost books and the gateway: off, at 10 %, at 100 %, and with a receiver that fails.

    uv run python bench/telemetry.py [--seconds 2] [--rounds 8] [--connections 32] [--only books|gateway|span]

The processes differ in nothing but their traces, and are measured in turns, each round in another order.
The table shows medians; a ratio is the median of those of each round. `slow` has a receiver that answers
after a second, `frozen` one that is stopped (SIGSTOP), `away` has none. `MB` is the memory at the end,
`exit` how long the process takes to end after all that. Needs `wrk`, or uses its own generator. Exits 1 if
a goal is missed: `KEPT`, `P99`, `MEMORY` and `EXIT` below. Beside that, a span of ours next to one of
OpenTelemetry's own SDK, to the last byte that goes out.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import gateway
from generators import GENERATORS, Result
from parts import books, cpu_seconds, stores

from bookstore.stores.account import unprivileged
from bookstore.stores.guardian import Guardian
from bookstore.stores.ports import any_free
from bookstore.stores.provision import Database, provision
from bookstore.stores.redis import Redis
from bookstore.stores.server import Server

RECEIVER = """
import asyncio, sys
async def serve(reader, writer, wait):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
            await reader.readexactly(length)
            await asyncio.sleep(wait)
            writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n")
    except (ConnectionError, asyncio.IncompleteReadError):
        writer.close()
async def main(port, slow):
    await asyncio.start_server(lambda r, w: serve(r, w, 0.0), "127.0.0.1", port)
    await asyncio.start_server(lambda r, w: serve(r, w, 1.0), "127.0.0.1", slow)
    print(flush=True)
    await asyncio.Event().wait()
asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
"""

SPANS = 20_000
WELL = "100 %"
KEPT = {"10 %": 0.92, WELL: 0.75}
"""Of the throughput with traces off, at least."""
P99 = 1.1
"""Of the p99 with a receiver that is well, at most."""
MEMORY = 16.0
"""Megabytes beside those with a receiver that is well, at most: what waits is 8,192 spans, and no more."""
EXIT = 5.0
"""Seconds at most."""


def kinds(receiver: int, failing: dict[str, int]) -> dict[str, dict[str, str]]:
    """The variables of each, by what it is called in the table."""
    share = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}

    def to(port: int) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}

    return {
        "off": {"OTEL_SDK_DISABLED": "true"},
        "not sent": {},
        "10 %": to(receiver) | share,
        WELL: to(receiver),
        **{f"{WELL}, {how}": to(port) for how, port in failing.items()},
    }


@contextmanager
def receivers() -> Iterator[dict[str, dict[str, str]]]:
    """Receivers of all manners; gives the variables of each kind of process."""
    with ExitStack() as stack:

        def start() -> tuple[int, int, int]:
            well, slow = any_free(), any_free()
            command = [sys.executable, "-c", RECEIVER, str(well), str(slow)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            process.stdout.readline()  # it listens
            return well, slow, process.pid

        well, slow, _ = start()
        frozen, _, pid = start()
        os.kill(pid, signal.SIGSTOP)
        yield kinds(well, {"slow": slow, "frozen": frozen, "away": any_free()})


@contextmanager
def all_books(variables: dict[str, dict[str, str]]) -> Iterator[dict[str, tuple[int, int]]]:
    """A process of books for each, over the same stores; their ports and ids."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bookstore-bench-"))
        administrator, redis = stack.enter_context(stores(folder))
        database = Database("books_db", "books_user", "bench-only")
        provision(administrator, [database])
        found = {}
        for name, own in variables.items():
            with environment(own):
                running = books(database.url(administrator), redis, access_log=True)
                found[name] = stack.enter_context(running)
        yield found


@contextmanager
def all_gateways(variables: dict[str, dict[str, str]], keys: str) -> Iterator[dict[str, tuple[int, int]]]:
    """A gateway for each, before the same service; their ports and ids."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bookstore-bench-")))
        folder.chmod(0o755)
        guardian = Guardian()
        stack.callback(guardian.close)
        account = unprivileged()
        store = Redis(folder=folder / "redis", port=any_free(), password="bench", account=account)  # noqa: S106
        redis = stack.enter_context(Server(store, guardian))
        behind = [any_free(), any_free()]
        stack.enter_context(gateway.running(behind[0], *gateway.service(folder, behind, keys)))
        found = {}
        for name, own in variables.items():
            settings = {
                "PORT": str(port := any_free()),
                "ADMIN_PORT": str(any_free()),
                "GATEWAY_CONFIG": str(gateway.gateway(folder, behind)),
                "REDIS_URL": redis.url,
                "DRAIN_ANNOUNCE": "0",
            }
            command = [sys.executable, "-m", "bookstore.gateway"]
            found[name] = port, stack.enter_context(gateway.running(port, *command, **settings, **own))
        yield found


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass
class Runs:
    """What was measured of one process."""

    runs: list[Result]
    memory: float = 0
    """Megabytes, at the end."""
    exit: float = 0
    """Seconds."""


def measured(
    processes: dict[str, tuple[int, int]], path: str, options: argparse.Namespace, **headers: str
) -> dict[str, Runs]:
    generate = GENERATORS[options.generator]
    results = {name: Runs([]) for name in processes}
    for turn in range(options.rounds + 1):  # the first warms up
        names = list(processes)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            port, pid = processes[name]
            before = cpu_seconds(pid)
            result = generate(port, path, options.connections, options.seconds, **headers)
            result.cpu = (cpu_seconds(pid) - before) / max(1.0, result.rate * options.seconds) * 1e6
            results[name].runs.append(result)
    for name, (_, pid) in processes.items():
        del results[name].runs[0]
        results[name].memory = memory(pid)
        results[name].exit = ended(pid)
    return results


def memory(pid: int) -> float:
    """The megabytes that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def ended(pid: int) -> float:
    """Ask a process to end; the seconds that it takes."""
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    # Whoever started it asks again, and waits for it; until then it is there, but dead.
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.005)
        if time.monotonic() > began + 4 * EXIT:
            break
    return time.monotonic() - began


def show(what: str, results: dict[str, Runs]) -> bool:
    """Print the table; whether every goal was reached."""
    print(f"\n{what}, one process each, load {os.getloadavg()[0]:.1f}")
    print("traces         requests/s  of off  p99 ms  of well  cpu us  of off    MB  exit s  errors")
    off, well, held = results["off"], results[WELL], True
    for name, own in results.items():
        kept, p99, cpu = ratio(own, off, "rate"), ratio(own, well, "p99"), ratio(own, off, "cpu")
        errors = sum(run.errors for run in own.runs)
        print(
            f"{name:13}  {median(own, 'rate'):10,.0f}  {kept:6.2f}  {median(own, 'p99'):6.1f}  {p99:7.2f}"
            f"  {median(own, 'cpu'):6.0f}  {cpu:6.2f}  {own.memory:4.0f}  {own.exit:6.2f}  {errors:6}"
        )
        held = held and not errors and kept >= KEPT.get(name, 0) and own.exit <= EXIT
        if name.startswith(f"{WELL}, "):
            held = held and p99 <= P99 and own.memory <= well.memory + MEMORY
    return held


def median(runs: Runs, key: str) -> float:
    return statistics.median(getattr(run, key) for run in runs.runs)


def ratio(one: Runs, other: Runs, key: str) -> float:
    """How many times the other's it is, measured side by side: the median of all rounds."""
    both = zip(one.runs, other.runs, strict=True)
    return statistics.median(getattr(own, key) / getattr(others, key) for own, others in both)


def spans() -> None:
    """A server's span with what it says of a request, from its beginning to its bytes: ours and the SDK's."""
    # ruff: noqa: PLC0415 - what is compared with is loaded only to be compared with
    from bookstore.service import context
    from bookstore.service.otlp import encode
    from bookstore.service.tracing.http import served
    from bookstore.service.tracing.span import Span

    sender = encode.resource({"service.name": "bench"}, "bench")

    def ours(number: int, sent: list[bytes] = []) -> None:  # noqa: B006 - it is to stay
        span = Span(sent.append, "GET", encode.SERVER, trace_id="a" * 32, span_id=context.new_span_id())
        served(
            span,
            "GET",
            path=f"/v1/books/{number}",
            scheme="http",
            version="1.1",
            route="/v1/books/{id}",
            status=200,
        )
        span.end()
        if len(sent) == 512:
            encode.request(sender, sent)
            sent.clear()

    took = {"ours": timed(ours)}
    try:
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
        from opentelemetry.trace import SpanKind
    except ImportError:
        print("\nOpenTelemetry's exporter isn't here: see bench/README.md")
    else:

        class Encoding(SpanExporter):
            def export(self, spans: list[ReadableSpan]) -> SpanExportResult:
                encode_spans(spans).SerializeToString()
                return SpanExportResult.SUCCESS

        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(Encoding(), max_queue_size=SPANS * 4))
        tracer = provider.get_tracer("bench")

        def theirs(number: int) -> None:
            known = {"http.request.method": "GET", "url.scheme": "http", "network.protocol.version": "1.1"}
            span = tracer.start_span(
                "GET", kind=SpanKind.SERVER, attributes={**known, "url.path": f"/v1/books/{number}"}
            )
            span.update_name("GET /v1/books/{id}")
            span.set_attribute("http.route", "/v1/books/{id}")
            span.set_attribute("http.response.status_code", 200)
            span.end()

        took["OpenTelemetry's SDK"] = timed(theirs, provider.force_flush)
    print("\none span, from its beginning to its bytes, us of CPU")
    for name, each in took.items():
        print(f"{name:20}  {each:6.1f}")


def timed(make: Callable[[int], None], flush: Callable[[], object] = lambda: None) -> float:
    """Microseconds of processor time for one, the best of several."""

    def once() -> float:
        began = time.process_time()
        for number in range(SPANS):
            make(number)
        flush()
        return (time.process_time() - began) / SPANS * 1e6

    return min(once() for _ in range(5))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=8, help="measurements of each; medians are shown")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", choices=["books", "gateway", "span"])
    default = "wrk" if shutil.which("wrk") else "own"
    parser.add_argument("--generator", choices=GENERATORS, default=default)
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        del os.environ[name]
    held = True
    with receivers() as variables:
        if options.only in (None, "books"):
            with all_books(variables) as processes:
                held = show("a book from PostgreSQL", measured(processes, "/v1/books/%d", options))
        if options.only in (None, "gateway") and options.generator == "wrk":
            keys, token = gateway.identity()
            with all_gateways(variables, keys) as processes:
                results = measured(processes, "/v1/books/7", options, Authorization=f"Bearer {token}")
                held = show("a book through the gateway", results) and held
    if options.only in (None, "span"):
        spans()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

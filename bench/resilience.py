# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "bookstore-resilience",
#     "bookstore-stores",
#     "aiolimiter",
#     "hyx",
#     "interlock-cb",
#     "limits",
#     "pybreaker",
#     "purgatory",
#     "redis",
#     "stamina",
#     "tenacity",
# ]
#
# [tool.uv.sources]
# bookstore-resilience = { path = "../packages/resilience", editable = true }
# bookstore-stores = { path = "../packages/stores", editable = true }
# ///
"""What a policy costs per successful call, side by side with other libraries on the same work.

    uv run bench/resilience.py [--redis] [--rounds 15] [--calls 4000]

Rounds of all contestants are interleaved, so that a busy moment of the machine hits all of them. `--redis`
adds the throughput of shared limits, on a server of its own; `--rounds 0` leaves the rest out. Where others
use the machine too, compare processor time (cpu us), not decisions a second. Exits 1 if leases of ten bring
less than 8 times what `limits` does.
"""

import argparse
import asyncio
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiolimiter
import hyx.bulkhead
import hyx.circuitbreaker
import hyx.retry
import hyx.timeout
import interlock
import limits
import limits.aio
import purgatory
import pybreaker
import stamina
import tenacity

from bookstore.resilience import Breaker, Bulkhead, Pipeline, Quota, RateLimit, Retry, Timeout
from bookstore.stores.binaries import redis_server

Contestant = Callable[[], Awaitable[Any]]
LIMIT = 1e9  # never reached: refusals are not what is measured
TASKS = 16
GOAL = 8.0


async def work() -> int:
    return 1


def ours(*policies: Any) -> Contestant:
    return Pipeline("bench", *policies)(work)


def five() -> tuple[Any, ...]:
    return RateLimit(Quota(LIMIT)), Retry(), Breaker(), Bulkhead(32), Timeout(1.0)


async def contestants() -> dict[str, dict[str, Contestant]]:
    def hyx_four(fn: Contestant) -> Contestant:
        fn = hyx.timeout.timeout(1.0)(fn)  # wants a running loop
        fn = hyx.bulkhead.bulkhead(max_concurrency=32, max_capacity=64)(fn)
        return hyx.retry.retry(attempts=3)(hyx.circuitbreaker.consecutive_breaker()(fn))

    circuit = Breaker()

    async def without_pipeline() -> int:
        permit = circuit.acquire()
        answer = await work()
        permit.ok()
        return answer

    guarded = await purgatory.AsyncCircuitBreakerFactory().get_breaker("bench")

    async def with_purgatory() -> int:
        async with guarded:
            return await work()

    blocking = pybreaker.CircuitBreaker()

    async def with_pybreaker() -> int:
        return blocking.call(lambda: 1)  # it can't await: the same work without a coroutine

    bucket = aiolimiter.AsyncLimiter(LIMIT, 1)

    async def with_aiolimiter() -> int:
        async with bucket:
            return await work()

    window = limits.aio.strategies.FixedWindowRateLimiter(limits.aio.storage.MemoryStorage())
    rate = limits.RateLimitItemPerSecond(int(LIMIT))

    async def with_limits() -> int:
        return await work() if await window.hit(rate, "key") else 0

    async def with_asyncio_timeout() -> int:
        async with asyncio.timeout(1.0):
            return await work()

    return {
        "retry": {
            "ours": ours(Retry()),
            "stamina": stamina.retry(on=OSError)(work),
            "tenacity": tenacity.retry(stop=tenacity.stop_after_attempt(3))(work),
            "hyx": hyx.retry.retry(attempts=3)(work),
        },
        "breaker": {
            "ours": ours(Breaker()),
            "ours, no pipeline": without_pipeline,
            "hyx": hyx.circuitbreaker.consecutive_breaker()(work),
            "interlock-cb": interlock.CircuitBreaker(name="bench")(work),
            "purgatory": with_purgatory,
            "pybreaker (no await)": with_pybreaker,
        },
        "rate limit": {
            "ours": ours(RateLimit(Quota(LIMIT))),
            "aiolimiter": with_aiolimiter,
            "limits": with_limits,
        },
        "timeout": {
            "ours": ours(Timeout(1.0)),
            "asyncio.timeout": with_asyncio_timeout,
            "hyx": hyx.timeout.timeout(1.0)(work),
        },
        "bulkhead": {
            "ours": ours(Bulkhead(32)),
            "hyx": hyx.bulkhead.bulkhead(max_concurrency=32, max_capacity=64)(work),
        },
        "composed": {
            "ours: five": ours(*five()),
            "ours: four": ours(*five()[1:]),
            "hyx: four": hyx_four(work),
        },
    }


async def one_round(call: Contestant, calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        await call()
    return (time.perf_counter() - begin) / calls * 1e6


async def overheads(rounds: int, calls: int) -> None:
    groups = await contestants()
    times: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        bare = await one_round(work, calls)
        times.setdefault(("", "bare await"), []).append(bare)
        for group, members in groups.items():
            for name, call in members.items():
                taken = await one_round(
                    call, max(100, calls // 8 if name in {"tenacity", "stamina"} else calls)
                )
                if number:  # the first round warms up
                    times.setdefault((group, name), []).append(taken)
    medians = {key: statistics.median(values) for key, values in times.items()}
    print(f"\nPython {platform.python_version()}, {rounds} rounds of {calls} calls; microseconds per call\n")
    print(f"| {'policy':<10} | {'library':<20} | {'median':>8} | {'lowest':>8} | {'times ours':>10} |")
    print("|---|---|--:|--:|--:|")
    for (group, name), median in medians.items():
        mine = medians.get((group, "ours"), medians.get((group, "ours: five"), median))
        lowest = min(times[group, name])
        print(f"| {group:<10} | {name:<20} | {median:8.2f} | {lowest:8.2f} | {median / mine:10.2f} |")
    ratio = medians["composed", "ours: five"] / medians["composed", "hyx: four"]
    print(f"\nFive of ours are {ratio:.2f} of hyx's four.")


# --- shared limits ---------------------------------------------------------------------------------------


async def throughput(hit: Callable[[], Awaitable[Any]], seconds: float, tasks: int) -> tuple[float, float]:
    """Decisions a second, by so many tasks at once, and microseconds of this process for each."""
    done = 0
    until = time.perf_counter() + seconds

    async def loop() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await hit()
            done += 1

    begin, busy = time.perf_counter(), time.process_time()
    await asyncio.gather(*(loop() for _ in range(tasks)))
    return done / (time.perf_counter() - begin), (time.process_time() - busy) / done * 1e6


async def shared(rounds: int) -> bool:
    import redis as client  # noqa: PLC0415 - only with --redis
    from redis.asyncio import Redis  # noqa: PLC0415

    from bookstore.resilience.redis import RedisLimits  # noqa: PLC0415

    with server() as url:
        redis = Redis.from_url(url)
        await redis.ping()
        storage = limits.storage.storage_from_string(f"async+{url}", implementation="redispy")
        window = limits.aio.strategies.FixedWindowRateLimiter(storage)
        rate = limits.RateLimitItemPerSecond(10**9)
        stores = {
            f"ours, lease {lease}": RedisLimits(redis, lease=lease, timeout=5.0) for lease in (0, 10, 100)
        }
        hits: dict[str, Callable[[], Awaitable[Any]]] = {
            "limits, fixed window": lambda: window.hit(rate, "k")
        }
        for name, store in stores.items():
            limiter = RateLimit(Quota(1e9), store=store, name=name)
            hits[name] = lambda limiter=limiter: limiter.try_acquire("k")
        rounds_of: dict[str, list[tuple[float, float]]] = {name: [] for name in hits}
        for number in range(rounds + 1):
            for name, hit in hits.items():
                measured = await throughput(hit, 0.5, TASKS)
                if number:  # the first round warms up
                    rounds_of[name].append(measured)
        medians = {
            name: tuple(map(statistics.median, zip(*values, strict=True)))
            for name, values in rounds_of.items()
        }
        base, cost = medians["limits, fixed window"]
        print(f"\nPython {platform.python_version()}, medians of {rounds} rounds. On both sides:")
        print(f"{TASKS} tasks at once, one key, no limit reached, redis-py {client.__version__} as is.\n")
        print("| shared limit | decisions a second | times limits | cpu us | limits' times ours |")
        print("|---|--:|--:|--:|--:|")
        for name, (fast, busy) in medians.items():
            rates = f"{fast:18,.0f} | {fast / base:12.1f}"
            print(f"| {name:<22} | {rates} | {busy:6.1f} | {cost / busy:18.1f} |")
        for store in stores.values():
            await store.aclose()
        await redis.aclose()
        return medians["ours, lease 10"][0] >= GOAL * base


class server:  # noqa: N801 - used as a function
    """A Redis server for the time of a block."""

    def __enter__(self) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            redis_server(),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            tempfile.gettempdir(),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.02)
        return f"redis://127.0.0.1:{port}/0"

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--redis", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=4000)
    options = parser.parse_args()
    if options.rounds:
        asyncio.run(overheads(options.rounds, options.calls))
    if options.redis and not asyncio.run(shared(9)):
        print(f"\nLeases of ten bring less than {GOAL:g} times what limits does.")
        sys.exit(1)


if __name__ == "__main__":
    main()

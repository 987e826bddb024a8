"""What experiments look at, by the names that definitions use."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from bookstore.lab.experiments.bench import BENCH
from bookstore.lab.load.wire import BrokenOffError, RefusedError, ask
from bookstore.lab.system.status import take_status


async def everything_is_well() -> bool:
    """Whether every part runs and is healthy, no toxic is set and the supplier behaves."""
    bench = BENCH.get()
    snapshot = await asyncio.to_thread(take_status, bench.folder)
    if not snapshot.all_healthy:
        return False
    proxies = cast("dict[str, Any]", (await ask(bench.proxies, "GET", "/proxies")).json())
    if any(proxy["toxics"] or not proxy["enabled"] for proxy in proxies.values()):
        return False
    mode = cast(
        "dict[str, Any]", (await ask(bench.url("supplier-control"), "GET", "/get_failure_mode")).json()
    )
    return mode["mode"] == "normal"


async def unfinished() -> int:
    """How many jobs of all kinds are still to be done; -1 while orders can't say."""
    try:
        answer = await ask(BENCH.get().url("orders"), "GET", "/v1/queue")
    except (RefusedError, BrokenOffError, TimeoutError):
        return -1
    if not answer.is_good:
        return -1
    kinds = cast("dict[str, Any]", answer.json())["kinds"]
    return sum(kind["unfinished"] for kind in kinds.values())

"""The supplier's own failure modes."""

from __future__ import annotations

from typing import Any, cast

from bookstore.lab.experiments.bench import BENCH, Bite
from bookstore.lab.load.outcome import set_mode
from bookstore.lab.load.wire import RefusedError, ask


async def supplier_mode(mode: str, parameters: dict[str, float] | None = None) -> None:
    """Tell the supplier how to fail from now on; `restore` tells it to behave."""
    bench = BENCH.get()
    control = bench.url("supplier-control")
    before = await _calls(control)
    await set_mode(control, mode, **(parameters or {}))

    async def proof() -> tuple[bool, str]:
        shown = cast("dict[str, Any]", (await ask(control, "GET", "/get_failure_mode")).json())
        if shown["mode"] != mode:
            return False, f"the supplier's mode is {shown['mode']}"
        if mode == "down":
            try:
                await ask(bench.url("supplier"), "GET", "/get")
            except RefusedError:
                return True, "the supplier refuses connections"
            return False, "the supplier takes connections"
        calls = await _calls(control) - before
        return calls > 0, f"the supplier got {calls} calls while it was {mode}"

    bench.bites.append(Bite(f"supplier {mode}", proof))


async def _calls(control: str) -> int:
    orders = cast("dict[str, Any]", (await ask(control, "GET", "/effects")).json())["orders"]
    return sum(counts["calls"] for counts in orders.values())

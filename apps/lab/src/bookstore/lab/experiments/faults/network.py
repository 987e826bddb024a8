"""Faults between two parts: toxics, and a way that is closed."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

from bookstore.lab.experiments.bench import BENCH, Bite
from bookstore.lab.load.wire import ask


async def toxic(
    proxy: str,
    type: str,  # noqa: A002 - toxiproxy's word
    attributes: dict[str, int] | None = None,
    stream: str = "downstream",
    toxicity: float = 1.0,
) -> None:
    """Set a toxic on a proxy; connections that are open suffer it too."""
    bench = BENCH.get()
    wish = {"type": type, "stream": stream, "toxicity": toxicity, "attributes": attributes or {}}
    path = f"/proxies/{quote(proxy, safe='')}/toxics"
    answer = await ask(bench.proxies, "POST", _unquoted(path), wish)
    if not answer.is_good:
        raise ValueError(f"no toxic {type} on {proxy}: {answer.body.decode()}")
    name = cast("dict[str, Any]", answer.json())["name"]

    async def proof() -> tuple[bool, str]:
        shown = cast("list[dict[str, Any]]", (await ask(bench.proxies, "GET", _unquoted(path))).json())
        bites = next((each["bites"] for each in shown if each["name"] == name), 0)
        return bites > 0, f"{name} on {proxy} has spoiled {bites} pieces or connections"

    bench.bites.append(Bite(f"{type} on {proxy}", proof))


async def cut(proxy: str) -> None:
    """Close a way: open connections end, new ones are refused."""
    bench = BENCH.get()
    path = f"/proxies/{proxy}"
    answer = await ask(bench.proxies, "POST", path, {"enabled": False})
    if not answer.is_good:
        raise ValueError(f"{proxy} can't be cut: {answer.body.decode()}")

    async def proof() -> tuple[bool, str]:
        shown = cast("dict[str, Any]", (await ask(bench.proxies, "GET", path)).json())
        text = f"{shown['cut']} connections of {proxy} were cut, and open is {shown['enabled']}"
        return shown["cut"] > 0 and not shown["enabled"], text

    bench.bites.append(Bite(f"cut {proxy}", proof))


async def mend() -> None:
    """Take all toxics away and open all ways again."""
    await ask(BENCH.get().proxies, "POST", "/reset")


def _unquoted(path: str) -> str:
    # The names have a `>`, which a path may hold when both ends are ours.
    return path.replace("%3E", ">")

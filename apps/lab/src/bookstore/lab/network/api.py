"""The proxies' HTTP API: as much of toxiproxy's as the lab uses, so that a real one could stand here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bookstore.lab.load.wire import loopback
from bookstore.lab.network.proxy import Proxy
from bookstore.lab.network.toxics import Toxic
from bookstore.lab.serving import Reply, Request, reply, serve

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

Told = tuple[int, object]
"""A status, and what is written as JSON."""


class Wish(msgspec.Struct, kw_only=True):
    """A proxy to make, or to change."""

    name: str = ""
    listen: str = "127.0.0.1:0"
    upstream: str = ""
    enabled: bool = True


class Switchboard:
    """All proxies by name, and what can be asked of them."""

    def __init__(self) -> None:
        self.proxies: dict[str, Proxy] = {}

    async def lead(self, ways: Iterable[str]) -> None:
        """Make a proxy for each way that is written as `NAME=LISTEN:UPSTREAM`, with ports of this machine."""
        for way in ways:
            name, _, ports = way.partition("=")
            listen, _, upstream = ports.partition(":")
            await self._make(Wish(name=name, listen=f"127.0.0.1:{listen}", upstream=f"127.0.0.1:{upstream}"))

    async def answer(self, method: str, path: str, body: bytes) -> Told:
        """Do what a request asks for.

        Raises:
            KeyError: there is no such proxy or toxic.
            ValueError: the request makes no sense.
        """
        match [method, *path.strip("/").split("/")]:
            case ["GET", "proxies"]:
                return 200, {name: _shown(proxy) for name, proxy in self.proxies.items()}
            case ["POST", "proxies"]:
                return 201, _shown(await self._make(msgspec.json.decode(body, type=Wish)))
            case ["POST", "reset"]:
                await self._reset()
                return 204, None
            case [_, "proxies", name, *rest]:
                return await self._about(method, self.proxies[name], rest, body)
            case _:
                raise KeyError(path)

    async def _about(self, method: str, proxy: Proxy, rest: list[str], body: bytes) -> Told:
        match [method, *rest]:
            case ["GET"]:
                return 200, _shown(proxy)
            case ["POST"]:
                enabled = msgspec.json.decode(body, type=Wish).enabled
                await (proxy.enable() if enabled else proxy.disable())
                return 200, _shown(proxy)
            case ["DELETE"]:
                await proxy.disable()
                del self.proxies[proxy.name]
                return 204, None
            case ["GET", "toxics"]:
                return 200, list(proxy.toxics.values())
            case ["POST", "toxics"]:
                toxic = msgspec.json.decode(body, type=Toxic)
                proxy.add(toxic)
                return 200, toxic
            case ["DELETE", "toxics", name]:
                proxy.remove(name)
                return 204, None
            case _:
                raise KeyError("/".join(rest))

    async def _make(self, wish: Wish) -> Proxy:
        _, listen = loopback(f"tcp://{wish.listen}")
        _, upstream = loopback(f"tcp://{wish.upstream}")
        if not wish.name or wish.name in self.proxies:
            raise ValueError(f"{wish.name!r} is no name for a new proxy")
        proxy = Proxy(wish.name, listen, upstream)
        if wish.enabled:
            await proxy.enable()
        self.proxies[wish.name] = proxy
        return proxy

    async def _reset(self) -> None:
        for proxy in self.proxies.values():
            for name in list(proxy.toxics):
                proxy.remove(name)
            await proxy.enable()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        await serve(reader, writer, self._replied)

    async def _replied(self, request: Request) -> Reply:
        try:
            return reply(*await self.answer(request.method, request.path, request.body))
        except KeyError as error:
            return reply(404, {"error": f"not found: {error}"})
        except Exception as error:  # noqa: BLE001 - a bad wish must not end the proxies
            return reply(400, {"error": str(error)})


def _shown(proxy: Proxy) -> dict[str, Any]:
    return {
        "name": proxy.name,
        "listen": f"127.0.0.1:{proxy.listen}",
        "upstream": f"127.0.0.1:{proxy.upstream}",
        "enabled": proxy.enabled,
        "toxics": list(proxy.toxics.values()),
        "connections": proxy.connections,
        "cut": proxy.refused,
    }

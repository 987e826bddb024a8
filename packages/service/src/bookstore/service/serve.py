"""Serving: one process, one event loop, and a leave-taking that loses no request.

Granian's embedded server shares our event loop, as our own does: one process is the whole service, so what is
measured, signalled and restarted is the same thing.
"""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

from bookstore.service.app import Service
from bookstore.service.door import Door, DoorMetrics
from bookstore.service.port import family_of, unavailable

logger = logging.getLogger(__name__)

_YOUNG = 10_000
"""How many objects more than at the last look make the collector look again. What a request leaves goes by
itself: by Python's own 700 the collector would look at little but what is under way, again and again.
"""
_ECHO = 0.5
"""Seconds within which a second signal is taken for the echo of the first."""


class Server(Protocol):
    """What reads requests from a port and has them answered."""

    async def serve(self) -> None:
        """Serve until all that was under way when `stop` was called is over."""

    def stop(self) -> None:
        """Take no further connections."""


class OwnServer:
    """A door as a server."""

    def __init__(self, service: Service) -> None:
        self._door = Door(
            service.settings.host,
            service.port,
            setting=service.port_setting,
            header_timeout=service.header_timeout,
            traced=service.tracer is not None,
        )
        self._door.app = cast("Any", service.asgi)
        self._door.express = service.express
        service.metrics.registry.register(DoorMetrics(self._door))
        self._stopping = asyncio.Event()

    async def serve(self) -> None:
        """Serve until all that was under way when `stop` was called is over."""
        await self._door.open()
        await self._stopping.wait()
        await self._door.leave(None)

    def stop(self) -> None:
        """Take no further connections."""
        self._stopping.set()


async def serve(service: Service) -> None:
    """Serve until SIGTERM or SIGINT, then drain: announce, refuse, finish.

    A second signal skips what is left of the drain.

    Raises:
        PortUnavailable: if the address is taken or not ours to use.
    """
    settings = service.settings
    _require_free(service.port_setting, settings.host, service.port)
    leaving, hurry = _stop_signals()
    async with service.running():
        server = server_of(service)
        serving = asyncio.create_task(server.serve())
        gc.freeze()
        gc.set_threshold(_YOUNG)
        logger.info(
            "serving", extra={"host": settings.host, "port": service.port, "version": service.version}
        )
        await _first(serving, leaving)
        if not serving.done():
            service.checkup.leaving.set()
            logger.info("draining")
            await _first(serving, hurry, patience=settings.drain_announce)
            server.stop()
            await _first(serving, hurry, patience=settings.drain_finish)
        if serving.done():
            serving.result()
    if not serving.done():
        logger.warning("left while requests were still running")
    logger.info("stopped")


@asynccontextmanager
async def beside(service: Service) -> AsyncGenerator[None]:
    """Serve another service in this process, on a port of its own, for as long as the block lasts.

    It hears no signals: whoever holds the block decides when it ends.

    Raises:
        PortUnavailable: if the address is taken or not ours to use.
    """
    settings = service.settings
    _require_free(service.port_setting, settings.host, service.port)
    async with service.running():
        server = server_of(service)
        serving = asyncio.create_task(server.serve())
        try:
            yield
        finally:
            server.stop()
            await _first(serving, patience=settings.drain_finish)


def server_of(service: Service) -> Server:
    """What serves it: Granian, or our own server for those that can't afford its threads."""
    if service.own_server:
        return OwnServer(service)
    return _granian(service)


def _granian(service: Service) -> Server:
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415 - who has our own server, loads no other
    from granian.http import HTTP1Settings  # noqa: PLC0415
    from granian.server.embed import Server as GranianServer  # noqa: PLC0415

    return GranianServer(
        service.asgi,
        address=service.settings.host,
        port=service.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=round(service.header_timeout * 1000)),
        websockets=False,
        backlog=1024,
        log_enabled=False,
    )


def _stop_signals() -> "tuple[asyncio.Future[None], asyncio.Future[None]]":
    """Done at the first SIGTERM or SIGINT, and at the next one that is meant as one.

    A Ctrl-C often arrives twice, from the terminal and from a parent that passes it on.
    """
    loop = asyncio.get_running_loop()
    leaving: asyncio.Future[None] = loop.create_future()
    hurry: asyncio.Future[None] = loop.create_future()
    first = 0.0

    def on_signal() -> None:
        nonlocal first
        if not leaving.done():
            first = loop.time()
            leaving.set_result(None)
        elif not hurry.done() and loop.time() - first > _ECHO:
            hurry.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return leaving, hurry


async def _first(*futures: "asyncio.Future[None]", patience: float | None = None) -> None:
    await asyncio.wait(futures, timeout=patience, return_when=asyncio.FIRST_COMPLETED)


def _require_free(setting: str, host: str, port: int) -> None:
    """Granian shares ports between processes (SO_REUSEPORT): a second service would get half the requests."""
    with socket.socket(family_of(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise unavailable(setting, host, port, error) from error

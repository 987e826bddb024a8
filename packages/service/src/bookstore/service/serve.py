"""Serving: one process, one event loop, and a leave-taking that loses no request.

Granian's embedded server shares our event loop, so one process is the whole service: what is measured,
signalled and restarted is the same thing.
"""

import asyncio
import errno
import gc
import logging
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from bookstore.service.app import Service

logger = logging.getLogger(__name__)

_ECHO = 0.5
"""Seconds within which a second signal is taken for the echo of the first."""


class PortUnavailable(Exception):
    """The port can't be had; the message says why and what to do."""


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
        server = _server(service)
        serving = asyncio.create_task(server.serve())
        gc.freeze()
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
        server = _server(service)
        serving = asyncio.create_task(server.serve())
        try:
            yield
        finally:
            server.stop()
            await _first(serving, patience=settings.drain_finish)


def _server(service: Service) -> Server:
    return Server(
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
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise unavailable(setting, host, port, error) from error


def unavailable(setting: str, host: str, port: int, error: OSError) -> PortUnavailable:
    """What `error` means for whoever wrote `setting`."""
    why = {
        errno.EADDRINUSE: f"another process listens there; stop it, or set {setting} to a free one",
        errno.EACCES: f"ports below 1024 need rights that this user hasn't; set {setting} to a higher one",
        errno.EADDRNOTAVAIL: "this machine has no such address; set HOST to one of its own",
    }.get(error.errno or 0, str(error))
    return PortUnavailable(f"{setting}: can't listen on {host}:{port}: {why}")

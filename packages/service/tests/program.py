"""A service as a program of its own, for tests that send it signals."""

import asyncio
from contextlib import asynccontextmanager

from litestar import get

from bookstore.service.app import Service
from bookstore.service.command import run
from bookstore.service.settings import Port, Settings, SettingsError


class ProbeSettings(Settings, frozen=True, kw_only=True):
    port: Port = 8000
    admin_port: Port = 0
    """Where it serves instead, if it is told."""
    own_server: bool = False
    refuses: str = ""
    """What it finds wrong with its settings only when it opens."""


@get("/slow")
async def slow(seconds: float) -> dict[str, float]:
    await asyncio.sleep(seconds)
    return {"slept": seconds}


def create_app(settings):
    @asynccontextmanager
    async def opening():
        if settings.refuses:
            raise SettingsError([settings.refuses])
        yield

    setting = "ADMIN_PORT" if settings.admin_port else "PORT"
    return Service(
        "probe",
        "1.2.3",
        settings,
        handlers=[slow],
        lifespan=[opening],
        port_setting=setting,
        own_server=settings.own_server,
    )


if __name__ == "__main__":
    run("probe", ProbeSettings, create_app)

"""A service as a program of its own, for tests that send it signals."""

import asyncio

from litestar import get

from bookstore.service.app import Service
from bookstore.service.command import run
from bookstore.service.settings import Port, Settings


class ProbeSettings(Settings, frozen=True, kw_only=True):
    port: Port = 8000


@get("/slow")
async def slow(seconds: float) -> dict[str, float]:
    await asyncio.sleep(seconds)
    return {"slept": seconds}


def create_app(settings):
    return Service("probe", "1.2.3", settings, handlers=[slow])


if __name__ == "__main__":
    run("probe", ProbeSettings, create_app)

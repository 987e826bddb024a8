"""The supplier put together: one app behind two ports, of which one fails on command."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from bookstore.service.app import Service
from bookstore.service.door import Door, DoorMetrics
from bookstore.supplier import api
from bookstore.supplier.desk import Desk
from bookstore.supplier.front import Front
from bookstore.supplier.journal import Journal
from bookstore.supplier.model import products
from bookstore.supplier.settings import SupplierSettings
from bookstore.supplier.switch import Switch
from bookstore.supplier.tally import Tally


def create_app(settings: SupplierSettings) -> Service:
    """The supplier with these settings; nothing is opened yet."""
    door = Door(
        settings.host,
        settings.port,
        setting="PORT",
        header_timeout=None,
        traced=not settings.otel_sdk_disabled,
    )
    switch = Switch(door)
    tally = Tally(Journal(Path(settings.effects_file)) if settings.effects_file else None)
    desk = Desk(tally, products(settings.not_supplied))

    @asynccontextmanager
    async def open_door() -> AsyncGenerator[None]:
        await door.open()
        try:
            yield
        finally:
            switch.stop()
            await door.leave(settings.drain_finish)

    service = Service(
        "supplier",
        version("bookstore-supplier"),
        settings,
        handlers=api.handlers,
        provide={"desk": desk, "switch": switch, "tally": tally},
        lifespan=[tally.kept, open_door],
        front=lambda own: Front(own, desk, switch, settings.max_body),
        port_setting="CONTROL_PORT",
    )
    door.app = cast("Any", service.asgi)
    service.metrics.registry.register(DoorMetrics(door))
    return service

"""`uv run orders-worker`: work on the ledger."""

import bookstore.service.loading  # noqa: F401  # pyright: ignore[reportUnusedImport] - first

# isort: split
import asyncio
import sys

from bookstore.orders.queue.app import NAME, create_app
from bookstore.orders.queue.doorbell import EvictsAnything, Trouble, check_eviction
from bookstore.orders.queue.model import STREAMS
from bookstore.orders.queue.settings import ALIASES, WorkerSettings
from bookstore.service.app import Service
from bookstore.service.command import EXIT_SETTINGS, run
from bookstore.service.redis import connect
from bookstore.service.redis_home import Home


def main() -> None:
    """Work until told to stop."""
    run(NAME, WorkerSettings, _create, aliases=ALIASES)


def _create(settings: WorkerSettings) -> Service:
    try:
        asyncio.run(_refuse_eviction(settings.redis_url))
    except EvictsAnything as error:
        sys.stderr.write(f"{NAME}: REDIS_URL: {error}\n")
        sys.exit(EXIT_SETTINGS)
    return create_app(settings)


async def _refuse_eviction(url: str) -> None:
    for stream in STREAMS.values():
        redis = connect(Home(url, stream), patience=1.0, connections=1)
        try:
            await check_eviction(redis)
        except Trouble:
            return  # it is away: the worker waits for it, and asks again then
        finally:
            await redis.aclose()


if __name__ == "__main__":
    main()

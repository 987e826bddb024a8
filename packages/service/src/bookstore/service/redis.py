"""Redis, as a help that a service can do without: every call is bounded, and failing is cheap."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def connect(url: str, *, patience: float = 0.25, connections: int = 32) -> Redis:
    """A client whose calls take `patience` seconds at most, and are never repeated behind the caller's back.

    Close it with `aclose()`.
    """
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        max_connections=connections,
        timeout=patience,
        socket_timeout=patience,
        socket_connect_timeout=patience,
        socket_keepalive=True,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        decode_responses=False,
    )
    return Redis.from_pool(pool)

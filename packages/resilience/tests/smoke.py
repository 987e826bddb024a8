"""What the wheel must do by itself: the core needs nothing but the standard library."""

import asyncio
import sys

from bookstore.resilience import Breaker, Pipeline, Retry, Timeout

tries = []


async def fails_once():
    tries.append("try")
    if len(tries) == 1:
        raise ConnectionError
    return "done"


async def main():
    pipeline = Pipeline("smoke", Retry(attempts=2, delay=0.001), Breaker(), Timeout(5))
    assert await pipeline.call(fails_once) == "done"
    assert len(tries) == 2


if __name__ == "__main__":
    asyncio.run(main())
    assert not {"httpx", "litestar", "opentelemetry", "prometheus_client", "redis"} & sys.modules.keys()

"""The cache's counts as metrics: read when they are asked for, so that counting costs an addition."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from bookstore.books.cache.cache import Tally

_READS = {
    "hits": "Reads answered from the cache.",
    "misses": "Reads that the cache had nothing for.",
    "bypasses": "Reads that went past the cache because it was away or closed.",
}


class CacheMetrics(Collector):
    """`bookstore_cache_{hits,misses,bypasses}_total`, `bookstore_cache_invalidations_total`."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[CounterMetricFamily]:
        """All counts as they are now."""
        for name, told in _READS.items():
            family = CounterMetricFamily(f"bookstore_cache_{name}", told, labels=["kind"])
            for kind in ("book", "page"):
                family.add_metric([kind], getattr(getattr(self._tally, kind), name))
            yield family
        family = CounterMetricFamily(
            "bookstore_cache_invalidations",
            "Writes after which the cache was told, or else closed.",
            labels=["result"],
        )
        family.add_metric(["removed"], self._tally.removals)
        family.add_metric(["closed"], self._tally.closings)
        yield family

"""What a door has refused, in numbers."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from bookstore.service.door.door import Door


class DoorMetrics(Collector):
    """Reads a door's counts when somebody asks."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For the registry."""
        family = CounterMetricFamily(
            "http_server_refused_requests",
            "Requests that were refused before anybody looked at what they ask for.",
            labels=["status"],
        )
        for status, times in sorted(self._door.refused.items()):
            family.add_metric([str(status)], times)
        yield family

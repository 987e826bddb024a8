"""The playground put together."""

from importlib.metadata import version

from prometheus_client import CollectorRegistry

from bookstore.playground import api
from bookstore.playground.client import PLACES, ResilientClient
from bookstore.playground.journal import Journal
from bookstore.playground.play import Playground
from bookstore.playground.settings import PlaygroundSettings
from bookstore.resilience.collector import DependencyMetrics
from bookstore.service.app import Service
from bookstore.service.tokens import RemoteKeys, access_with
from bookstore.service.upstream import Upstream


def way_to(url: str) -> Upstream:
    """The way to a service, with no protection of its own that would come before the client's."""
    return Upstream(url, connect_timeout=10.0, timeout=60.0, max_connections=2 * PLACES)


def create_app(settings: PlaygroundSettings) -> Service:
    """The playground with these settings; nothing is opened yet."""
    keys = RemoteKeys(settings.accounts_service_url, at_start=settings.auth_required)
    numbers = CollectorRegistry()
    calls = DependencyMetrics(numbers, prefix="bookstore")
    journal = Journal()
    upstream = way_to(settings.supplier_service_url)
    client = ResilientClient(settings.supplier_service_url, upstream, journal, sinks=[calls])
    calls.watch("supplier", client.pipeline)
    service = Service(
        "playground",
        version("bookstore-playground"),
        settings,
        handlers=api.handlers,
        provide={"playground": Playground(client, journal), "journal": journal},
        lifespan=[lambda: keys, lambda: upstream],
        access=access_with(settings, keys),
        circuits=lambda: calls.breakers,
    )
    service.metrics.registry.register(numbers)
    return service

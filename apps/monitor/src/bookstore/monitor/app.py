"""The monitor put together."""

from importlib.metadata import version

from prometheus_client import CollectorRegistry

from bookstore.monitor.health import api as health_api
from bookstore.monitor.health.metrics import WatchMetrics
from bookstore.monitor.health.targets import BadTargets, read_targets
from bookstore.monitor.health.watch import Watch
from bookstore.monitor.settings import MonitorSettings
from bookstore.service.app import Service
from bookstore.service.settings import SettingsError
from bookstore.service.tokens import RemoteKeys, access_with


def create_app(settings: MonitorSettings) -> Service:
    """The monitor with these settings; nothing is opened yet.

    Raises:
        SettingsError: if the list of targets can't be used.
    """
    try:
        targets = read_targets(settings.targets)
    except BadTargets as error:
        raise SettingsError([f"TARGETS: {error}"]) from error
    keys = RemoteKeys(settings.accounts_service_url, at_start=settings.auth_required)
    numbers = CollectorRegistry()
    watch = Watch(
        targets,
        interval=settings.probe_interval,
        slow=settings.probe_slow,
        patience=settings.probe_patience,
        seen=WatchMetrics(numbers, targets).seen,
    )
    service = Service(
        "monitor",
        version("bookstore-monitor"),
        settings,
        handlers=[*health_api.handlers],
        provide={"watch": watch},
        lifespan=[lambda: keys, lambda: watch],
        access=access_with(settings, keys),
    )
    service.metrics.registry.register(numbers)
    return service

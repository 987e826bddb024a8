"""The monitor put together."""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Gauge

from bookstore.contracts.monitor import Picture
from bookstore.monitor.console import api as console_api
from bookstore.monitor.console.assets import read_assets
from bookstore.monitor.events import api as events_api
from bookstore.monitor.events.feed import Feed
from bookstore.monitor.health import api as health_api
from bookstore.monitor.health.metrics import WatchMetrics
from bookstore.monitor.health.targets import BadTargets, read_targets
from bookstore.monitor.health.watch import Watch
from bookstore.monitor.queue import api as queue_api
from bookstore.monitor.queue.desk import QueueDesk
from bookstore.monitor.settings import MonitorSettings
from bookstore.monitor.survey import api as survey_api
from bookstore.monitor.survey.picture import Painter
from bookstore.monitor.survey.survey import Survey
from bookstore.monitor.traces import api as traces_api
from bookstore.monitor.traces.memory import TraceMemory
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
    survey = Survey(targets)
    desk = QueueDesk([target for target in targets if target.service == "orders"], watch)
    traces = TraceMemory(settings.trace_bytes)
    painter = Painter(watch, survey)

    def paint() -> Picture:
        survey.want()
        return painter.picture()

    feed = Feed(paint, most=settings.event_readers)
    watch.listen(feed.change)
    service = Service(
        "monitor",
        version("bookstore-monitor"),
        settings,
        handlers=[
            *health_api.handlers,
            *survey_api.handlers,
            *events_api.handlers,
            *traces_api.handlers,
            *queue_api.handlers,
            *console_api.handlers,
        ],
        provide={
            "watch": watch,
            "survey": survey,
            "painter": painter,
            "feed": feed,
            "traces": traces,
            "queue_desk": desk,
            "assets": read_assets(),
        },
        lifespan=[lambda: keys, lambda: watch, lambda: survey, lambda: feed, lambda: desk],
        access=access_with(settings, keys),
        front=console_api.leading_to_the_page,
    )
    service.metrics.registry.register(numbers)
    Gauge("bookstore_monitor_readers", "Who reads the events.", registry=numbers).set_function(
        lambda: feed.reading
    )
    return service

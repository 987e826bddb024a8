"""The monitor put together."""

from collections.abc import Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Gauge

from bookstore.contracts.monitor import Picture
from bookstore.monitor.audit import api as audit_api
from bookstore.monitor.audit.book import AuditBook
from bookstore.monitor.circuits import api as circuits_api
from bookstore.monitor.circuits.desk import CircuitDesk
from bookstore.monitor.console import api as console_api
from bookstore.monitor.console.assets import read_assets
from bookstore.monitor.events import api as events_api
from bookstore.monitor.events.feed import Feed
from bookstore.monitor.faults import api as faults_api
from bookstore.monitor.faults.desk import FaultDesk
from bookstore.monitor.faults.supplier import SupplierSwitch
from bookstore.monitor.health import api as health_api
from bookstore.monitor.health.metrics import WatchMetrics
from bookstore.monitor.health.targets import BadTargets, Target, read_targets
from bookstore.monitor.health.watch import Watch
from bookstore.monitor.lab import api as lab_api
from bookstore.monitor.lab.desk import LabDesk
from bookstore.monitor.queue import api as queue_api
from bookstore.monitor.queue.desk import QueueDesk
from bookstore.monitor.sessions import api as sessions_api
from bookstore.monitor.sessions.accounts import Accounts
from bookstore.monitor.sessions.doorman import Doorman
from bookstore.monitor.sessions.keeper import Keeper
from bookstore.monitor.settings import MonitorSettings
from bookstore.monitor.survey import api as survey_api
from bookstore.monitor.survey.picture import Painter
from bookstore.monitor.survey.survey import Survey
from bookstore.monitor.traces import api as traces_api
from bookstore.monitor.traces.memory import TraceMemory
from bookstore.monitor.trials import api as trials_api
from bookstore.monitor.trials.trials import Trials
from bookstore.service.app import Service
from bookstore.service.settings import SettingsError
from bookstore.service.tokens import RemoteKeys, Verifier


def create_app(settings: MonitorSettings) -> Service:
    """The monitor with these settings; nothing is opened yet.

    Raises:
        SettingsError: if the list of targets can't be used.
    """
    try:
        targets = read_targets(settings.targets)
    except BadTargets as error:
        raise SettingsError([f"TARGETS: {error}"]) from error
    numbers = CollectorRegistry()

    keys = RemoteKeys(settings.accounts_service_url, at_start=settings.auth_required)
    verifier = Verifier(keys, issuer=settings.token_issuer, audience=settings.token_audience)
    accounts = Accounts(settings.accounts_service_url)
    keeper = Keeper(accounts, verifier)
    doorman = Doorman(
        verifier, keeper, required=settings.auth_required, service_secret=settings.service_secret
    )

    watch = Watch(
        targets,
        interval=settings.probe_interval,
        slow=settings.probe_slow,
        patience=settings.probe_patience,
        seen=WatchMetrics(numbers, targets).seen,
    )
    supplier = SupplierSwitch(_places(settings.supplier_control_url, "supplier-control", targets)[0])
    lab = LabDesk(settings.desk_url, settings.desk_secret)
    faults = FaultDesk(supplier, lab, allowed=settings.faults_allowed)
    survey = Survey(
        targets, supplier.heard, lambda target, reachable: watch.heard(target, reachable=reachable)
    )
    painter = Painter(watch, survey, faults=faults.known, run=lab.run)
    traces = TraceMemory(settings.trace_bytes)

    def paint() -> Picture:
        survey.want()
        lab.want()
        return painter.picture()

    feed = Feed(paint, traces=traces.news, most=settings.event_readers)
    watch.listen(feed.change)
    queue = QueueDesk([target for target in targets if target.service == "orders"], watch)
    circuits = CircuitDesk(targets, _places(settings.gateway_admin_url, "gateway-admin", targets))
    trials = Trials(_places(settings.gateway_url, "gateway", targets)[0])

    service = Service(
        "monitor",
        version("bookstore-monitor"),
        settings,
        handlers=[
            *health_api.handlers,
            *survey_api.handlers,
            *events_api.handlers,
            *traces_api.handlers,
            *sessions_api.handlers,
            *audit_api.handlers,
            *circuits_api.handlers,
            *queue_api.handlers,
            *faults_api.handlers,
            *trials_api.handlers,
            *lab_api.handlers,
            *console_api.handlers,
        ],
        provide={
            "settings": settings,
            "watch": watch,
            "survey": survey,
            "painter": painter,
            "feed": feed,
            "traces": traces,
            "keeper": keeper,
            "audit": AuditBook(),
            "circuit_desk": circuits,
            "queue_desk": queue,
            "fault_desk": faults,
            "trials": trials,
            "lab": lab,
            "assets": read_assets(),
        },
        lifespan=[
            lambda: keys,
            lambda: accounts,
            lambda: keeper,
            lambda: watch,
            lambda: supplier,
            lambda: lab,
            lambda: survey,
            lambda: feed,
            lambda: queue,
            lambda: circuits,
            lambda: trials,
        ],
        access=doorman,
        front=console_api.leading_to_the_page,
    )
    service.metrics.registry.register(numbers)
    Gauge("bookstore_monitor_readers", "Who reads the events.", registry=numbers).set_function(
        lambda: feed.reading
    )
    return service


def _places(given: str, name: str, targets: Sequence[Target]) -> list[str]:
    """Where to ask for something: as a setting says, else where it is watched; else an empty address."""
    places = given.split(",") if given else [target.url for target in targets if target.service == name]
    return places or [""]

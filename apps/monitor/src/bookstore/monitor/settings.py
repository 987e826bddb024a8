"""What the monitor can be told."""

from typing import Annotated

from msgspec import Meta

from bookstore.service.settings import Port
from bookstore.service.tokens import TokenSettings

_Interval = Annotated[float, Meta(gt=0, le=3600)]
_Url = Annotated[str, Meta(pattern=r"^(https?://[^\s/:@]+(:\d{1,5})?)?$")]
_Urls = Annotated[str, Meta(pattern=r"^(https?://[^\s/:@,]+(:\d{1,5})?(,https?://[^\s/:@,]+(:\d{1,5})?)*)?$")]


class MonitorSettings(TokenSettings, frozen=True, kw_only=True):
    """Settings of the monitor."""

    port: Port = 5004
    targets: str = (
        "gateway=http://127.0.0.1:8080 books=http://127.0.0.1:8001 orders=http://127.0.0.1:8082"
        " accounts=http://127.0.0.1:8003 supplier=http://127.0.0.1:5003 orders-worker=http://127.0.0.1:9100"
    )
    """Whom to watch: `name=url`, with blanks between them, and with commas between several of one name."""
    probe_interval: _Interval = 30.0
    """Seconds from one look at a target to the next."""
    probe_slow: _Interval = 1.0
    """Seconds after which an answer is late."""
    probe_patience: _Interval = 3.0
    """Seconds after which none is expected any more."""
    event_readers: Annotated[int, Meta(ge=1, le=10_000)] = 50
    """How many may read the events at a time."""
    trace_bytes: Annotated[int, Meta(ge=1_000_000, le=1_000_000_000)] = 16_000_000
    """How much memory the last traces may take."""
    faults_allowed: bool = False
    """Whether failures can be switched on here: where nobody's work depends on the system."""
    supplier_control_url: _Url = ""
    """The supplier's control port, for its modes; by default the `supplier-control` of TARGETS."""
    gateway_url: _Urls = ""
    """The gateways, of which the first is tried; by default those of TARGETS."""
    gateway_admin_url: _Urls = ""
    """The gateways' admin ports, for their circuits; by default every `gateway-admin` of TARGETS."""
    desk_url: _Url = ""
    """The lab's desk, for scenarios, experiments, reports, and failures of processes, stores, the network."""
    desk_secret: Annotated[str, Meta(pattern=r"^([!-~]{32,200})?\Z")] = ""
    """What the desk wants to be shown."""
    jaeger_url: _Url = ""
    """Where people look for traces, if not here."""

"""What the `OTEL_*` variables say, in the words that OpenTelemetry has for everybody.

They are shared with other programs of the machine, so what can't be understood here is told and left out; it
stops nobody. Values are never repeated: headers hold keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from bookstore.service.tracing.sampler import DEFAULT, NAMES, Sampler, sampler

DEFAULT_ENDPOINT: Final = "http://localhost:4318"
VARIABLES: Final[Mapping[str, tuple[str, str]]] = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("", "Where traces go, such as http://localhost:4318; empty for nowhere."),
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ("", "The same, as the whole URL: /v1/traces isn't added."),
    "OTEL_TRACES_EXPORTER": ("", "otlp for http://localhost:4318 where none is named, none for nowhere."),
    "OTEL_EXPORTER_OTLP_HEADERS": ("", "Sent along, as name=value,name=value: a key, for example."),
    "OTEL_EXPORTER_OTLP_TIMEOUT": ("10000", "Milliseconds that the receiver has for one request."),
    "OTEL_EXPORTER_OTLP_COMPRESSION": ("none", "none or gzip."),
    "OTEL_EXPORTER_OTLP_CERTIFICATE": (
        "",
        "A file with whom to trust over https, if not whom the system trusts.",
    ),
    "OTEL_TRACES_SAMPLER": (
        "parentbased_always_on",
        "Which are recorded: always_on, always_off or traceidratio, each also with parentbased_ before it.",
    ),
    "OTEL_TRACES_SAMPLER_ARG": ("1.0", "The share that traceidratio records."),
    "OTEL_SERVICE_NAME": ("", "What the sender is called, if not by its own name."),
    "OTEL_RESOURCE_ATTRIBUTES": ("", "What else is said of the sender, as name=value,name=value."),
    "OTEL_BSP_MAX_QUEUE_SIZE": ("8192", "Spans that wait to be sent; what comes on top is dropped."),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": ("1024", "Spans in one request."),
    "OTEL_BSP_SCHEDULE_DELAY": ("1000", "Milliseconds that a span waits at most."),
}
"""What people are told of: a default, and what it is for."""
_PATH: Final = "/v1/traces"


@dataclass(slots=True)
class TracingSettings:
    """Where spans go, and which."""

    url: str = ""
    """The whole URL; empty to send none."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    timeout: float = 10.0
    """Seconds for one request."""
    gzip: bool = False
    certificate: str = ""
    """A file with the certificates that the receiver may show; else those of the system."""
    sampler: Sampler = DEFAULT
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    """What is said of the sender, beside its name, version and instance."""
    queue: int = 8192
    """Spans that wait at most; what comes on top is dropped."""
    batch: int = 1024
    delay: float = 1.0
    """Seconds that a span waits at most while all is well."""
    problems: list[str] = field(default_factory=list[str])
    """What couldn't be understood."""


def read(given: Mapping[str, str]) -> TracingSettings:
    """The settings that these variables make; empty ones count as not given."""
    return _Reading({name: value.strip() for name, value in given.items() if value.strip()}).settings


class _Reading:
    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self.settings = settings = TracingSettings()
        settings.url = self._url()
        settings.headers = self._pairs(self._otlp("HEADERS"), lower=True)
        settings.timeout = self._number(self._otlp("TIMEOUT"), 10_000, least=1) / 1000
        settings.gzip = self._one_of(self._otlp("COMPRESSION"), ("none", "gzip")) == "gzip"
        settings.certificate = given.get(self._otlp("CERTIFICATE"), "")
        self._one_of(self._otlp("PROTOCOL"), ("http/protobuf",))
        name = self._one_of("OTEL_TRACES_SAMPLER", NAMES)
        if name:
            share = self._number("OTEL_TRACES_SAMPLER_ARG", 1.0, least=0.0, most=1.0)
            settings.sampler = sampler(name, share)
        settings.attributes = self._pairs("OTEL_RESOURCE_ATTRIBUTES")
        if service := given.get("OTEL_SERVICE_NAME"):
            settings.attributes["service.name"] = service
        settings.queue = round(self._number("OTEL_BSP_MAX_QUEUE_SIZE", 8192, least=1, most=1_000_000))
        settings.batch = round(self._number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1024, least=1))
        settings.batch = min(settings.batch, settings.queue)
        settings.delay = self._number("OTEL_BSP_SCHEDULE_DELAY", 1000, least=1) / 1000

    def _url(self) -> str:
        exporter = self._one_of("OTEL_TRACES_EXPORTER", ("otlp", "none"))
        whole = self._given.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        base = self._given.get("OTEL_EXPORTER_OTLP_ENDPOINT", DEFAULT_ENDPOINT if exporter == "otlp" else "")
        if exporter == "none" or not (whole or base):
            return ""
        url = whole or base.rstrip("/") + _PATH
        try:
            parts = urlsplit(url)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            sound = False
        if not sound:
            which = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" if whole else "OTEL_EXPORTER_OTLP_ENDPOINT"
            self.settings.problems.append(f"{which}: must look like http://host:4318; no trace is sent")
            return ""
        return url

    def _otlp(self, name: str) -> str:
        """The variable that holds for traces alone, if it is given, else the one for all signals."""
        own = f"OTEL_EXPORTER_OTLP_TRACES_{name}"
        return own if own in self._given else f"OTEL_EXPORTER_OTLP_{name}"

    def _one_of(self, name: str, known: tuple[str, ...]) -> str:
        value = self._given.get(name, "").lower()
        if value and value not in known:
            self.settings.problems.append(f"{name}: known here are {', '.join(known)}; it is passed over")
            return ""
        return value

    def _number(self, name: str, default: float, *, least: float, most: float = 86_400_000) -> float:
        try:
            number = float(self._given.get(name, default))
            if least <= number <= most:
                return number
        except ValueError:
            pass
        self.settings.problems.append(f"{name}: must be a number from {least} to {most}; it is passed over")
        return default

    def _pairs(self, name: str, *, lower: bool = False) -> dict[str, str]:
        found: dict[str, str] = {}
        for pair in self._given.get(name, "").split(","):
            key, equals, value = (part.strip() for part in pair.partition("="))
            if key and equals:
                value = unquote(value)
                if value.isprintable() and key.isascii():
                    found[key.lower() if lower else key] = value
                    continue
            if pair.strip():
                self.settings.problems.append(f"{name}: must look like key=value,key=value")
        return found

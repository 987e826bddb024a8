"""The environment of an app's process: exactly what is meant for it, nothing that happens to be around."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bookstore.lab.system.topology import Service


class Address(str):
    """A URL that can also be written with another port, for a way round: `{books:21050}`."""

    __slots__ = ()

    def __format__(self, port: str) -> str:
        if not port:
            return str(self)
        parts = urlsplit(self)
        host = parts.netloc.rpartition(":")[0]
        return urlunsplit(parts._replace(netloc=f"{host}:{port}"))


# What Python and the system's libraries look at.
PLATFORM = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
)
# The switches that `up` hands on from its caller.
SWITCHES = ("METRICS_ENABLED", "ACCESS_LOG", "LOG_LEVEL")
TELEMETRY_PREFIX = "OTEL_"


def environment(
    service: Service,
    instance: str,
    ports: Mapping[str, int],
    addresses: Mapping[str, str],
    caller: Mapping[str, str],
) -> dict[str, str]:
    """The complete environment of one instance; `ports` are its own, by setting."""
    handed_on = {
        name: value
        for name, value in caller.items()
        if name in PLATFORM or name in SWITCHES or name.startswith(TELEMETRY_PREFIX)
    }
    known = {name: Address(address) for name, address in addresses.items()}
    return {
        "LOG_LEVEL": "info",
        **handed_on,
        "HOST": "127.0.0.1",
        **{name: str(port) for name, port in ports.items()},
        "INSTANCE": instance,
        **{name: value.format_map(known) for name, value in service.settings.items()},
    }

"""The environment of an app's process: exactly what is meant for it, nothing that happens to be around."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bookstore.lab.system.topology import Service

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
    return {
        "LOG_LEVEL": "info",
        **handed_on,
        "HOST": "127.0.0.1",
        **{name: str(port) for name, port in ports.items()},
        "INSTANCE": instance,
        **{name: value.format_map(addresses) for name, value in service.settings.items()},
    }

"""What the sinks for metrics have in common: names, units and labels, once."""

from typing import Final

from bookstore.resilience.events import Event

STATES: Final = ("closed", "half_open", "open", "forced_open", "disabled", "metrics_only")
"""The states of a breaker, as a gauge counts them: from 0."""


def labels(event: Event) -> dict[str, str]:
    """What tells one series from another: names that come from settings, never a URL, a key or a message."""
    return {"pipeline": event.name, "policy": event.policy, "verdict": event.verdict or ""}

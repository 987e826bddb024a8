"""What the gateway counts: plain numbers, which cost nothing to speak of until somebody asks for them."""

from collections import Counter

from bookstore.resilience import Decision, Event


class Tally:
    """Counts since the start, each by the labels that its metric has."""

    def __init__(self) -> None:
        self.attempts: Counter[tuple[str, str, str]] = Counter()
        self.retries: Counter[tuple[str, str]] = Counter()
        self.full: Counter[str] = Counter()
        self.transitions: Counter[tuple[str, str, str]] = Counter()
        self.ejections: Counter[tuple[str, str]] = Counter()
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.degraded: Counter[str] = Counter()
        self.reloads: Counter[str] = Counter()

    def event(self, event: Event) -> None:
        """Take in what a policy tells."""
        if event.kind == "transition":
            self.transitions[event.name, event.detail["from"], event.detail["to"]] += 1
        elif event.kind == "ejected":
            self.ejections[event.name, event.detail["target"]] += 1

    def decision(self, limit: str, decision: Decision) -> None:
        """Take in what a limit has said."""
        self.decisions[limit, "allowed" if decision.allowed else "refused"] += 1
        if decision.degraded:
            self.degraded[limit] += 1

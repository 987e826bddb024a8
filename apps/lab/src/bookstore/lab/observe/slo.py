"""What users are promised, and the rules that follow: how much of it is broken, and what is left to break.

Names and labels are those of sloth, so that boards made for it show these as well. An alert looks at a long
and a short time at once: the long one so that a moment's trouble wakes nobody, the short one so that it is
over when the trouble is.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from bookstore.lab.observe.alert import Alert, Story

DAYS: Final = 30
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
TRAFFIC: Final = "0.01"
"""Requests a second, over an hour, below which a ratio says nothing."""


@dataclass(frozen=True, kw_only=True)
class Slo:
    """One promise, kept or broken by each event.

    Attributes:
        service: who gives it: the `job` of the metrics.
        name: what it is about.
        says: the promise in words.
        objective: the percentage of good events.
        total: a counter's selector that matches all events.
        good: one that matches the good ones; or
        bad: one that matches the bad ones.
    """

    service: str
    name: str
    says: str
    objective: str
    total: str
    good: str = ""
    bad: str = ""

    @property
    def id(self) -> str:
        """Its name among all."""
        return f"{self.service}-{self.name}"

    @property
    def title(self) -> str:
        """Its name in names of alerts."""
        return "".join(word.capitalize() for word in self.id.split("-"))

    @property
    def budget(self) -> Fraction:
        """The share of events that may be bad."""
        return 1 - Fraction(self.objective) / 100

    @property
    def labels(self) -> dict[str, str]:
        """What tells its series from others'."""
        return {"sloth_id": self.id, "sloth_service": self.service, "sloth_slo": self.name}

    @property
    def selector(self) -> str:
        """The same as a selector."""
        return f'{{sloth_id="{self.id}"}}'

    def ratio(self, window: str) -> str:
        """The share of bad events over a time; nothing where nothing happened: an average needs numbers."""
        total = f"sum(rate({self.total}[{window}]))"
        if self.bad:
            return f"sum(rate({self.bad}[{window}])) / {total} >= 0"
        return f"clamp_min(1 - sum(rate({self.good}[{window}])) / {total}, 0) >= 0"


def _availability(service: str, objective: str) -> Slo:
    total = f'http_requests_total{{job="{service}"}}'
    return Slo(
        service=service,
        name="availability",
        says=f"{objective} % of requests to {service} are answered, and not by a 5xx.",
        objective=objective,
        total=total,
        bad=total.replace("}", ',status_class="5xx"}'),
    )


def _latency(service: str, seconds: str, objective: str) -> Slo:
    name = "http_request_duration_seconds"
    return Slo(
        service=service,
        name="latency",
        says=f"{objective} % of requests to {service} are answered within {seconds} s.",
        objective=objective,
        total=f'{name}_count{{job="{service}"}}',
        good=f'{name}_bucket{{job="{service}",le="{seconds}"}}',
    )


SLOS: Final = (
    _availability("gateway", "99.9"),
    _availability("books", "99.9"),
    # It says 503 rather than guess a price while books is away.
    _availability("orders", "99.5"),
    _latency("books", "0.25", "99"),
    _latency("orders", "0.25", "99"),
    Slo(
        service="orders-worker",
        name="validation",
        says="99 % of attempts to validate an order come to an end within 2.5 s.",
        objective="99",
        total='worker_job_duration_seconds_count{job="orders-worker",queue="validate"}',
        good='worker_job_duration_seconds_bucket{job="orders-worker",queue="validate",le="2.5"}',
    ),
)


@dataclass(frozen=True)
class _Burn:
    """How many times as fast as it may a budget burns, over a long time and a short one."""

    rate: Fraction
    long: str
    short: str


_PAGE: Final = (_Burn(Fraction("14.4"), "1h", "5m"), _Burn(Fraction(6), "6h", "30m"))
_TICKET: Final = (_Burn(Fraction(3), "1d", "2h"), _Burn(Fraction(1), "3d", "6h"))


def rules(slo: Slo) -> dict[str, Any]:
    """The file of one promise's rules."""
    return {
        "groups": [
            {
                "name": f"slo-{slo.id}-errors",
                "rules": [
                    _recorded(slo, f"slo:sli_error:ratio_rate{window}", slo.ratio(window), window)
                    for window in WINDOWS
                ],
            },
            {
                "name": f"slo-{slo.id}-budget",
                "rules": [
                    _recorded(slo, "slo:objective:ratio", f"vector({_decimal(1 - slo.budget)})"),
                    _recorded(slo, "slo:error_budget:ratio", f"vector({_decimal(slo.budget)})"),
                    _recorded(slo, "slo:time_period:days", f"vector({DAYS})"),
                    _recorded(
                        slo,
                        "slo:current_burn_rate:ratio",
                        f"{_anyhow(f'slo:sli_error:ratio_rate5m{slo.selector}')} / {_decimal(slo.budget)}",
                    ),
                    _recorded(
                        slo,
                        "slo:period_error_budget_remaining:ratio",
                        f"1 - {_anyhow(f'avg_over_time(slo:sli_error:ratio_rate5m{slo.selector}[{DAYS}d])')}"
                        f" / {_decimal(slo.budget)}",
                    ),
                ],
            },
            {"name": f"slo-{slo.id}-alerts", "rules": [alert.rule() for alert in alerts(slo)]},
        ]
    }


def alerts(slo: Slo) -> tuple[Alert, Alert]:
    """One that wakes somebody, and one that waits for the morning."""
    return (
        Alert(
            name=f"{slo.title}BurnsFast",
            expr=_burning(slo, _PAGE),
            wait="2m",
            severity="critical",
            labels=slo.labels,
            summary=f"The error budget of {slo.id} is gone within days at this rate",
            description=slo.says,
            # Six good hours, then three quarters of an hour at forty times the rate that the budget allows.
            story=_story(
                slo, burn=40, good=360, bad=45, interval="1m", quiet="375m", fires="400m", over="420m"
            ),
        ),
        Alert(
            name=f"{slo.title}BurnsSlowly",
            expr=_burning(slo, _TICKET),
            wait="15m",
            severity="warning",
            labels=slo.labels,
            summary=f"The error budget of {slo.id} won't last for {DAYS} days",
            description=slo.says,
            # Six good hours, then five at five times that rate.
            story=_story(
                slo, burn=5, good=72, bad=60, interval="5m", quiet="420m", fires="640m", over="1140m"
            ),
        ),
    )


def _burning(slo: Slo, burns: tuple[_Burn, ...]) -> str:
    pairs = [
        "\n    and ".join(
            _anyhow(f"slo:sli_error:ratio_rate{window}{slo.selector} > {_decimal(burn.rate * slo.budget)}")
            for window in (burn.long, burn.short)
        )
        for burn in burns
    ]
    either = " or ".join(f"(\n    {pair}\n  )" for pair in pairs)
    return f"({either})\n  and on () sum(rate({slo.total}[1h])) > {TRAFFIC}"


def _anyhow(expr: str) -> str:
    """Without the window that it is about."""
    return f"max without (sloth_window) ({expr})"


def _recorded(slo: Slo, name: str, expr: str, window: str = "") -> dict[str, Any]:
    labels = {**slo.labels, **({"sloth_window": window} if window else {})}
    return {"record": name, "expr": expr, "labels": labels}


def _story(
    slo: Slo, *, burn: int, good: int, bad: int, interval: str, quiet: str, fires: str, over: str
) -> Story:
    """So many values of a counter while all is well, so many while too much is bad, and then well again."""
    step = 1000
    spoilt = min(step, int(step * slo.budget * burn))
    rest = 200

    def series(whole: int, part: int) -> str:
        first = whole * good
        second = first + part * bad
        return f"0+{whole}x{good} {first + part}+{part}x{bad - 1} {second + whole}+{whole}x{rest}"

    fine = series(step, step - spoilt)
    if slo.bad:
        told = {slo.bad.replace('"5xx"', '"2xx"'): fine, slo.bad: series(0, spoilt)}
    else:
        told = {slo.good: fine, slo.total: series(step, step)}
    return Story(series=told, quiet=(quiet,), fires=fires, over=over, interval=interval)


def _decimal(number: Fraction) -> str:
    return f"{float(number):.12g}"

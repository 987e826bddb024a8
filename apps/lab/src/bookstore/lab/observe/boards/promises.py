"""What users are promised, how much of it is used up, and how fast."""

from bookstore.lab.observe.boards.panel import Board, Panel, Query

_EACH = "{{sloth_id}}"

PROMISES = Board(
    uid="bookstore-promises",
    title="Bookstore: promises",
    panels=(
        Panel(
            title="Budget left",
            says="Of what may go wrong within thirty days: what is left.",
            queries=(Query("slo:period_error_budget_remaining:ratio", _EACH),),
            kind="stat",
            unit="percentunit",
            zones=((0, "red"), (0.1, "orange"), (0.5, "green")),
        ),
        Panel(
            title="Burn rate",
            says="How many times as fast as it may each budget is used up: 1 lasts for just thirty days.",
            queries=(Query("slo:current_burn_rate:ratio", _EACH),),
        ),
        Panel(
            title="Objective",
            says="The share of events that is promised to be good.",
            queries=(Query("slo:objective:ratio", _EACH),),
            kind="stat",
            unit="percentunit",
        ),
        Panel(
            title="Bad events, five minutes",
            says="The share of events that broke a promise.",
            queries=(Query("slo:sli_error:ratio_rate5m", _EACH),),
            unit="percentunit",
        ),
        Panel(
            title="Bad events, an hour",
            says="The share of events that broke a promise.",
            queries=(Query("slo:sli_error:ratio_rate1h", _EACH),),
            unit="percentunit",
        ),
        Panel(
            title="Alerts",
            says="Those that wait to fire, and those that do.",
            queries=(
                Query(
                    'sum by (alertname, alertstate) (ALERTS{alertname!=""}) or vector(0)',
                    "{{alertname}} {{alertstate}}",
                ),
            ),
        ),
    ),
)

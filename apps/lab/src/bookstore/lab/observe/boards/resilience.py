"""What stands between services: circuits, bulkheads, retries, limits, and what answers instead."""

from bookstore.lab.observe.boards.panel import RATE, Board, Panel, Query


def _rate(metric: str, *labels: str, where: str = "") -> Query:
    by = ", ".join(labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    return Query(f"sum by ({by}) (rate({metric}{where}[{RATE}]))", legend)


RESILIENCE = Board(
    uid="bookstore-resilience",
    title="Bookstore: resilience",
    panels=(
        Panel(
            title="Circuits",
            says="Whether a service lets calls of another through.",
            queries=(
                Query(
                    'max by (job, dependency) (bookstore_breaker_state{state=~"open|forced_open"}) * 2'
                    ' + max by (job, dependency) (bookstore_breaker_state{state="half_open"})',
                    "{{job}} to {{dependency}}",
                ),
            ),
            kind="state-timeline",
            zones=((0, "green"), (1, "yellow"), (2, "red")),
            words=(("0", "closed"), ("1", "half open"), ("2", "open")),
        ),
        Panel(
            title="Changes of circuits",
            says="How often each has changed its state within five minutes.",
            queries=(
                Query(
                    "sum by (job, dependency, to) (increase(bookstore_breaker_transitions_total[5m]))",
                    "{{job}} to {{dependency}}: {{to}}",
                ),
            ),
        ),
        Panel(
            title="Refused by a circuit",
            says="Calls a second that were not even tried.",
            queries=(_rate("bookstore_breaker_rejected_total", "job", "dependency"),),
            unit="ops",
        ),
        Panel(
            title="Calls",
            says="Calls a second, by how they ended: `ignore` is what taught the circuit nothing.",
            queries=(_rate("bookstore_call_duration_seconds_count", "job", "dependency", "outcome"),),
            unit="ops",
        ),
        Panel(
            title="Calls, p95",
            says="With all tries and waits.",
            queries=(
                Query(
                    "histogram_quantile(0.95, sum by (job, dependency, le) "
                    f"(rate(bookstore_call_duration_seconds_bucket[{RATE}])))",
                    "{{job}} to {{dependency}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            title="Tries given up",
            says="Tries a second that took too long.",
            queries=(_rate("bookstore_timeouts_total", "job", "dependency"),),
            unit="ops",
        ),
        Panel(
            title="Retries",
            says="Calls a second that were tried again, or would have been, had there been budget.",
            queries=(_rate("bookstore_retry_attempts_total", "job", "dependency", "outcome"),),
            unit="ops",
        ),
        Panel(
            title="Places taken",
            says="Calls under way, and those that wait for a place.",
            queries=(
                Query("sum by (job, dependency) (bookstore_bulkhead_in_flight)", "{{job}} to {{dependency}}"),
                Query(
                    "sum by (job, dependency) (bookstore_bulkhead_waiting)",
                    "{{job}} to {{dependency}}, waiting",
                ),
            ),
        ),
        Panel(
            title="Refused for want of a place",
            says="Calls a second.",
            queries=(_rate("bookstore_bulkhead_rejected_total", "job", "dependency"),),
            unit="ops",
        ),
        Panel(
            title="Stock told by",
            says="Books itself, or what it told last.",
            queries=(_rate("bookstore_fallback_total", "dependency", "source"),),
            unit="ops",
        ),
        Panel(
            title="Limits",
            says="Decisions a second of the gateway's limits.",
            queries=(_rate("bookstore_limiter_decisions_total", "scope", "outcome"),),
            unit="ops",
        ),
        Panel(
            title="Limits not shared",
            says="Decisions a second that a gateway made for itself, because Redis was away.",
            queries=(_rate("bookstore_limiter_degraded_total", "scope"),),
            unit="ops",
        ),
        Panel(
            title="Targets",
            says="Whether the gateway uses each.",
            queries=(
                Query("max by (upstream, target) (bookstore_gateway_target_up)", "{{upstream}} {{target}}"),
            ),
            kind="state-timeline",
            zones=((0, "red"), (1, "green")),
            words=(("0", "left out"), ("1", "used")),
        ),
        Panel(
            title="Attempts by target",
            says="Requests a second from the gateway, by how they ended.",
            queries=(_rate("bookstore_gateway_attempts_total", "upstream", "target", "outcome"),),
            unit="reqps",
        ),
        Panel(
            title="Cache of books",
            says="Reads a second: answered by it, not in it, and past it because it was away.",
            queries=tuple(
                Query(
                    f"sum by (kind) (rate(bookstore_cache_{result}_total[{RATE}]))", f"{{{{kind}}}} {result}"
                )
                for result in ("hits", "misses", "bypasses")
            ),
            unit="ops",
        ),
    ),
)

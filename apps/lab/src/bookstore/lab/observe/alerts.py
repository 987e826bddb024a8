"""The alerts, by what they are about. Those on error budgets are in `slo`."""

from __future__ import annotations

from typing import Final

from bookstore.lab.observe.alert import Alert, Story

_REQUESTS: Final = 'http_requests_total{job="orders",handler="/v1/orders",method="POST",status_class="%s"}'
_BUCKETS: Final = 'http_request_duration_seconds_bucket{job="orders",handler="/v1/orders",le="%s"}'

ORDERS: Final = (
    Alert(
        name="OrdersServiceDown",
        expr='up{job="orders"} == 0',
        wait="1m",
        severity="critical",
        summary="Orders is down",
        description="Prometheus can't scrape {instance} of orders.",
        story=Story(
            series={'up{job="orders",instance="a"}': "1x4 0x5 1x5"},
            quiet=("4m", "5m"),
            fires="6m",
            over="11m",
            labels={"job": "orders", "instance": "a"},
        ),
    ),
    Alert(
        name="OrdersHigh5xxRate",
        expr='sum(rate(http_requests_total{job="orders",status_class="5xx"}[5m]))\n'
        '  / sum(rate(http_requests_total{job="orders"}[5m])) * 100 > 10',
        wait="5m",
        severity="warning",
        summary="More than 10 % of requests to orders fail",
        description="Of the requests of the last five minutes more than a tenth was answered 5xx.",
        story=Story(
            series={_REQUESTS % "2xx": "0+60x60", _REQUESTS % "5xx": "0x10 0+20x20 400x30"},
            quiet=("10m", "16m"),
            fires="20m",
            over="37m",
        ),
    ),
    Alert(
        name="OrdersHighLatencyP95",
        expr="histogram_quantile(0.95,\n"
        '  sum by (le) (rate(http_request_duration_seconds_bucket{job="orders"}[5m]))) > 1',
        wait="5m",
        severity="warning",
        summary="Orders is slow",
        description="Of the requests of the last five minutes a twentieth took longer than a second.",
        story=Story(
            series={
                _BUCKETS % "0.5": "0+60x10 600x20 600+60x30",
                _BUCKETS % "1.0": "0+60x10 600x20 600+60x30",
                _BUCKETS % "2.5": "0+60x60",
                _BUCKETS % "+Inf": "0+60x60",
            },
            quiet=("10m", "15m"),
            fires="20m",
            over="40m",
        ),
    ),
)

SERVICES: Final = (
    Alert(
        name="ServiceDown",
        expr='up{job!="orders"} == 0',
        wait="1m",
        severity="critical",
        summary="{job} is down",
        description="Prometheus can't scrape {instance} of {job}.",
        story=Story(
            series={
                'up{job="books",instance="a"}': "1x4 0x5 1x5",
                'up{job="books",instance="b"}': "1x20",
            },
            quiet=("5m",),
            fires="6m",
            over="11m",
            labels={"job": "books", "instance": "a"},
        ),
    ),
    Alert(
        name="EventLoopHeldUp",
        expr="histogram_quantile(0.95,\n"
        "  sum by (job, instance, le) (rate(bookstore_event_loop_delay_seconds_bucket[5m]))) > 0.1",
        wait="5m",
        severity="warning",
        summary="{job} does something that holds up all of its requests",
        description="A twentieth of the timers of {instance} of {job} ran over a tenth of a second late.",
        story=Story(
            series={
                'bookstore_event_loop_delay_seconds_bucket{job="books",instance="a",le="0.1"}': (
                    "0+120x10 1200x20 1200+120x30"
                ),
                'bookstore_event_loop_delay_seconds_bucket{job="books",instance="a",le="0.25"}': "0+120x60",
                'bookstore_event_loop_delay_seconds_bucket{job="books",instance="a",le="+Inf"}': "0+120x60",
            },
            quiet=("10m", "15m"),
            fires="20m",
            over="40m",
            labels={"job": "books", "instance": "a"},
        ),
    ),
)

QUEUE: Final = (
    Alert(
        name="QueueOld",
        expr='max by (kind) (bookstore_queue_oldest_age_seconds{job="orders-worker"}) > 120',
        wait="1m",
        severity="warning",
        summary="Work waits for minutes",
        description="The oldest job of kind {kind} has waited for more than two minutes: see what it calls.",
        story=Story(
            series={
                'bookstore_queue_oldest_age_seconds{job="orders-worker",kind="validate"}': "0x4 60+60x6 0x9"
            },
            quiet=("5m", "7m"),
            fires="9m",
            over="13m",
            labels={"kind": "validate"},
        ),
    ),
    Alert(
        name="QueueNearItsDeadline",
        expr='max(bookstore_queue_oldest_age_seconds{job="orders-worker",kind="validate"}) > 1800',
        wait="1m",
        severity="critical",
        summary="Orders are about to fail unseen by the supplier",
        description="An order has waited for half an hour; after VALIDATION_DEADLINE it fails.",
        story=Story(
            series={
                'bookstore_queue_oldest_age_seconds{job="orders-worker",kind="validate"}': (
                    "1600+60x3 1840+60x4 0x9"
                )
            },
            quiet=("3m", "4m"),
            fires="6m",
            over="10m",
        ),
    ),
    Alert(
        name="QueueDead",
        expr='max by (kind) (bookstore_queue_dead{job="orders-worker"}) > 0',
        wait="1m",
        severity="warning",
        summary="Work was given up",
        description="There are dead jobs of kind {kind}: `bookstore orders queue dead` shows them.",
        story=Story(
            series={'bookstore_queue_dead{job="orders-worker",kind="settle"}': "0x4 2x5 0x5"},
            quiet=("4m", "5m"),
            fires="6m",
            over="11m",
            labels={"kind": "settle"},
        ),
    ),
    Alert(
        name="WorkerDeaf",
        expr='min by (kind) (bookstore_queue_last_poll_age_seconds{job="orders-worker"}) > 30',
        wait="1m",
        severity="warning",
        summary="No worker hears the doorbell",
        description="No worker has read the stream of {kind} for half a minute: see Redis.",
        story=Story(
            series={
                'bookstore_queue_last_poll_age_seconds{job="orders-worker",kind="validate"}': "0x4 60x5 0x5"
            },
            quiet=("4m", "5m"),
            fires="6m",
            over="11m",
            labels={"kind": "validate"},
        ),
    ),
)

RESILIENCE: Final = (
    Alert(
        name="CircuitOpen",
        expr="max by (job, dependency) (\n"
        '  bookstore_breaker_state{state=~"open|forced_open",dependency!="inventory-demo"}) == 1',
        wait="1m",
        severity="warning",
        summary="{job} doesn't call {dependency} any more",
        description="The circuit of {job} to {dependency} is open: it is away, slow, or kept out by hand.",
        story=Story(
            series={
                'bookstore_breaker_state{job="orders",dependency="books",state="open"}': "0x4 1x5 0x5",
                'bookstore_breaker_state{job="books",dependency="inventory-demo",state="open"}': "1x20",
            },
            quiet=("4m", "5m"),
            fires="6m",
            over="11m",
            labels={"job": "orders", "dependency": "books"},
        ),
    ),
    Alert(
        name="PlacesFull",
        expr="sum by (job, dependency) (rate(bookstore_bulkhead_rejected_total[5m])) > 0",
        wait="2m",
        severity="warning",
        summary="{job} has more calls for {dependency} than places",
        description="Calls of {job} to {dependency} are refused because all places are taken.",
        story=Story(
            series={
                'bookstore_bulkhead_rejected_total{job="gateway",dependency="orders"}': "0x4 0+5x5 25x15"
            },
            quiet=("4m", "6m"),
            fires="9m",
            over="16m",
            labels={"job": "gateway", "dependency": "orders"},
        ),
    ),
    Alert(
        name="LimitsNotShared",
        expr="sum by (job, scope) (rate(bookstore_limiter_degraded_total[5m])) > 0",
        wait="2m",
        severity="warning",
        summary="Each gateway counts for itself",
        description="The limit {scope} is decided by a gateway's own share: see Redis.",
        story=Story(
            series={'bookstore_limiter_degraded_total{job="gateway",scope="hundred"}': "0x4 0+5x5 25x15"},
            quiet=("4m", "6m"),
            fires="9m",
            over="16m",
            labels={"job": "gateway", "scope": "hundred"},
        ),
    ),
    Alert(
        name="TargetDown",
        expr="max by (upstream, target) (bookstore_gateway_target_up) == 0",
        wait="1m",
        severity="warning",
        summary="The gateway doesn't use a target of {upstream}",
        description="{target} doesn't answer its probes, or was left out because it failed its requests.",
        story=Story(
            series={
                'bookstore_gateway_target_up{upstream="books",target="http://a"}': "1x4 0x5 1x5",
                'bookstore_gateway_target_up{upstream="books",target="http://b"}': "1x20",
            },
            quiet=("4m", "5m"),
            fires="6m",
            over="11m",
            labels={"upstream": "books", "target": "http://a"},
        ),
    ),
    Alert(
        name="RoutesRefused",
        expr='increase(bookstore_gateway_reloads_total{outcome="refused"}[10m]) > 0',
        wait="0m",
        severity="warning",
        summary="The gateway goes on with its old routes",
        description="A file of routes was refused by {instance}; its log says why.",
        story=Story(
            series={
                'bookstore_gateway_reloads_total{job="gateway",instance="a",outcome="refused"}': "0x4 1x30"
            },
            quiet=("4m",),
            fires="6m",
            over="16m",
            labels={"job": "gateway", "instance": "a", "outcome": "refused"},
        ),
    ),
)

BY_SUBJECT: Final = {"orders": ORDERS, "services": SERVICES, "queue": QUEUE, "resilience": RESILIENCE}

"""Whether services are there, how much they are asked, how often they fail, how long they take."""

from bookstore.lab.observe.boards.panel import RATE, Board, Panel, Query

_PICK = 'job=~"$job"'
_BUCKETS = f"http_request_duration_seconds_bucket{{{_PICK}}}[{RATE}]"
_SUM = f"http_request_duration_seconds_sum{{{_PICK}}}[{RATE}]"
_COUNT = f"http_request_duration_seconds_count{{{_PICK}}}[{RATE}]"
_REQUESTS = f"http_requests_total{{{_PICK}}}[{RATE}]"


def _share(classes: str) -> str:
    some = f'http_requests_total{{{_PICK},status_class=~"{classes}"}}[{RATE}]'
    return f"sum by (job) (rate({some})) / sum by (job) (rate({_REQUESTS}))"


def _quantile(share: str) -> Query:
    return Query(
        f"histogram_quantile({share}, sum by (job, le) (rate({_BUCKETS})))",
        f"{{{{job}}}} p{share.removeprefix('0.')}",
    )


GOLDEN = Board(
    uid="bookstore-golden",
    title="Bookstore: golden signals",
    picks=(("job", "http_requests_total, job"),),
    panels=(
        Panel(
            title="Up",
            says="Whether Prometheus reaches each process.",
            queries=(Query(f"up{{{_PICK}}}", "{{job}} {{instance}}"),),
            kind="stat",
            zones=((0, "red"), (1, "green")),
            words=(("0", "down"), ("1", "up")),
        ),
        Panel(
            title="Uptime",
            says="Since each process was started.",
            queries=(Query(f"time() - process_start_time_seconds{{{_PICK}}}", "{{job}} {{instance}}"),),
            kind="stat",
            unit="s",
        ),
        Panel(
            title="Under way",
            says="Requests that are being answered at this moment, event streams among them.",
            queries=(Query(f"sum by (job) (http_server_active_requests{{{_PICK}}})", "{{job}}"),),
        ),
        Panel(
            title="Requests",
            says="Requests a second.",
            queries=(Query(f"sum by (job) (rate({_REQUESTS}))", "{{job}}"),),
            unit="reqps",
        ),
        Panel(
            title="Requests by route",
            says="The ten routes that are asked most.",
            queries=(
                Query(
                    f"topk(10, sum by (job, handler, method) (rate({_REQUESTS})))",
                    "{{job}} {{method}} {{handler}}",
                ),
            ),
            unit="reqps",
        ),
        Panel(
            title="Answers by class",
            says="Answers a second, by the first digit of their status.",
            queries=(Query(f"sum by (status_class) (rate({_REQUESTS}))", "{{status_class}}"),),
            unit="reqps",
        ),
        Panel(
            title="Failed by us",
            says="The share of requests that were answered 5xx.",
            queries=(Query(_share("5xx"), "{{job}}"),),
            unit="percentunit",
        ),
        Panel(
            title="Refused",
            says="The share of requests that were answered 4xx.",
            queries=(Query(_share("4xx"), "{{job}}"),),
            unit="percentunit",
        ),
        Panel(
            title="Failed by us, by route",
            says="5xx answers a second.",
            queries=(
                Query(
                    "sum by (job, handler) "
                    f'(rate(http_requests_total{{{_PICK},status_class="5xx"}}[{RATE}])) > 0'
                    f" or sum by (job) (rate({_REQUESTS})) * 0",
                    "{{job}} {{handler}}",
                ),
            ),
            unit="reqps",
        ),
        Panel(
            title="Latency",
            says="Half, 95 and 99 of 100 requests take no longer. A dot is a request: it leads to its trace.",
            queries=(_quantile("0.50"), _quantile("0.95"), _quantile("0.99")),
            unit="s",
            exemplars=True,
        ),
        Panel(
            title="Latency by route",
            says="On average, over the requests of each route.",
            queries=(
                Query(
                    f"sum by (job, handler) (rate({_SUM})) / (sum by (job, handler) (rate({_COUNT})) > 0)",
                    "{{job}} {{handler}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            title="Versions",
            says="What runs.",
            queries=(Query("count by (service, version) (bookstore_build_info)", "{{service}} {{version}}"),),
            kind="stat",
        ),
        Panel(
            title="As the monitor sees it",
            says="How many processes of each service, and which stores, are in which state.",
            queries=(
                Query("sum by (service, state) (bookstore_monitor_state == 1)", "{{service}} {{state}}"),
            ),
            kind="stat",
        ),
        Panel(
            title="Until the monitor is answered",
            says="95 of 100 looks at a service or a store are answered sooner.",
            queries=(
                Query(
                    "histogram_quantile(0.95, sum by (service, le) "
                    f"(rate(bookstore_monitor_probe_seconds_bucket[{RATE}])))",
                    "{{service}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            title="Consoles",
            says="Who reads the monitor's events.",
            queries=(Query("sum(bookstore_monitor_readers)", "readers"),),
        ),
    ),
)

"""The processes: what they use, and what holds them up."""

from bookstore.lab.observe.boards.panel import RATE, Board, Panel, Query

_PICK = 'job=~"$job"'
_EACH = "{{job}} {{instance}}"

RUNTIME = Board(
    uid="bookstore-runtime",
    title="Bookstore: runtime",
    picks=(("job", "bookstore_event_loop_delay_seconds_count, job"),),
    panels=(
        Panel(
            title="Event loop, p99",
            says="How late timers run: while they wait, so does every request.",
            queries=(
                Query(
                    "histogram_quantile(0.99, sum by (job, instance, le) "
                    f"(rate(bookstore_event_loop_delay_seconds_bucket{{{_PICK}}}[{RATE}])))",
                    _EACH,
                ),
            ),
            unit="s",
        ),
        Panel(
            title="Processor",
            says="The share of one core that each process takes.",
            queries=(Query(f"rate(process_cpu_seconds_total{{{_PICK}}}[{RATE}])", _EACH),),
            unit="percentunit",
        ),
        Panel(
            title="Memory",
            says="Resident, shared pages among it.",
            queries=(Query(f"process_resident_memory_bytes{{{_PICK}}}", _EACH),),
            unit="bytes",
        ),
        Panel(
            title="Open files",
            says="Sockets among them.",
            queries=(Query(f"process_open_fds{{{_PICK}}}", _EACH),),
        ),
        Panel(
            title="Garbage",
            says="Collections a second, by generation.",
            queries=(
                Query(
                    f"sum by (job, generation) (rate(python_gc_collections_total{{{_PICK}}}[{RATE}]))",
                    "{{job}} {{generation}}",
                ),
            ),
            unit="ops",
        ),
        Panel(
            title="A scrape takes",
            says="How long each service takes to tell its numbers, on its event loop.",
            queries=(Query(f"scrape_duration_seconds{{{_PICK}}}", _EACH),),
            unit="s",
        ),
        Panel(
            title="A scrape brings",
            says="Series of each service; this must not grow with ids, paths or people.",
            queries=(Query(f"scrape_samples_post_metric_relabeling{{{_PICK}}}", _EACH),),
        ),
        Panel(
            title="Restarts",
            says="How often each was started within an hour.",
            queries=(Query(f"changes(process_start_time_seconds{{{_PICK}}}[1h])", _EACH),),
            kind="stat",
        ),
    ),
)

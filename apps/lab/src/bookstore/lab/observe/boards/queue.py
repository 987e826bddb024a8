"""What accepted orders are still owed, and how that goes on."""

from bookstore.lab.observe.boards.panel import RATE, Board, Panel, Query

_WORKER = 'job="orders-worker"'


def _gauge(name: str) -> Query:
    return Query(f"max by (kind) (bookstore_queue_{name}{{{_WORKER}}})", "{{kind}}")


QUEUE = Board(
    uid="bookstore-queue",
    title="Bookstore: queue and worker",
    panels=(
        Panel(title="Depth", says="Jobs that aren't finished.", queries=(_gauge("depth"),)),
        Panel(
            title="Oldest",
            says="The age of the oldest job that isn't finished.",
            queries=(_gauge("oldest_age_seconds"),),
            unit="s",
        ),
        Panel(
            title="Dead",
            says="Jobs that were given up: `bookstore orders queue dead` shows them.",
            queries=(_gauge("dead"),),
            kind="stat",
            zones=((0, "green"), (1, "red")),
        ),
        Panel(title="Parked", says="Jobs that wait for a better time.", queries=(_gauge("parked"),)),
        Panel(
            title="In hand",
            says="Jobs that workers work on.",
            queries=(Query("sum by (kind) (bookstore_queue_in_flight)", "{{kind}}"),),
        ),
        Panel(
            title="Last look at the stream",
            says="Since a worker has last read the doorbell's stream.",
            queries=(Query("max by (kind) (bookstore_queue_last_poll_age_seconds)", "{{kind}}"),),
            unit="s",
        ),
        Panel(
            title="Completed",
            says="Jobs a second that came to their end.",
            queries=(Query(f"sum by (queue) (rate(worker_jobs_completed_total[{RATE}]))", "{{queue}}"),),
            unit="ops",
        ),
        Panel(
            title="Failed",
            says="Episodes a second that failed, by why.",
            queries=(
                Query(
                    f"sum by (queue, class) (rate(worker_jobs_failed_total[{RATE}]))", "{{queue}} {{class}}"
                ),
            ),
            unit="ops",
        ),
        Panel(
            title="Time of a job",
            says="From its claim to its outcome: half and 95 of 100 take no longer.",
            queries=tuple(
                Query(
                    f"histogram_quantile({share}, sum by (queue, le) "
                    f"(rate(worker_job_duration_seconds_bucket[{RATE}])))",
                    f"{{{{queue}}}} p{share.removeprefix('0.')}",
                )
                for share in ("0.50", "0.95")
            ),
            unit="s",
        ),
        Panel(
            title="Rung for again",
            says="Jobs a second that the bell was rung for again, by why.",
            queries=(
                Query(
                    f"sum by (kind, reason) (rate(bookstore_queue_republished_total[{RATE}]))",
                    "{{kind}} {{reason}}",
                ),
            ),
            unit="ops",
        ),
        Panel(
            title="Too late",
            says="Outcomes a second that came after somebody else's: none of them had an effect.",
            queries=(Query(f"sum by (what) (rate(bookstore_queue_fenced_total[{RATE}]))", "{{what}}"),),
            unit="ops",
        ),
        Panel(
            title="Watched orders",
            says="Event streams that somebody watches an order by.",
            queries=(Query("sum(bookstore_watched_orders)", "streams"),),
        ),
    ),
)

"""What the rules are by which targets that fail are left alone; `ejector.py` goes by them."""

from dataclasses import KW_ONLY, dataclass

from bookstore.resilience import checks


@dataclass(frozen=True)
class Outliers:
    """When a balancer ejects a target.

    Args:
        consecutive: failures in a row.
        base: seconds of the first ejection; the second lasts twice as long, the third three times.
        cap: the most that any ejection lasts.
        max_share: the largest share of targets that may be out. However small it is, one may be, as long as
            another is left; 0 ejects nobody, for files that have no other way to say so.
        panic: the share of ejected targets above which ejections are ignored.
        interval: seconds in good health that take back one ejection's worth of growth.
    """

    consecutive: int = 5
    _: KW_ONLY
    base: float = 30.0
    cap: float = 300.0
    max_share: float = 0.5
    panic: float = 0.5
    interval: float = 10.0

    def __post_init__(self) -> None:
        checks.count("consecutive", self.consecutive)
        checks.seconds("base", self.base)
        checks.seconds("cap", self.cap)
        checks.require(self.cap >= self.base, "cap", "at least base", self.cap)
        checks.share("max_share", self.max_share, zero=True)
        checks.share("panic", self.panic)  # at 0 no ejection would ever count
        checks.seconds("interval", self.interval)

"""What the other side asked for: after how long to come back.

An error, or a result, may say so itself with a `retry_after` in seconds, or be (or hold, as `response`) an
HTTP answer with a `Retry-After` header: seconds, or a date.
"""

from math import isfinite
from typing import Any

from bookstore.resilience.clock import Clock


def retry_after(ended: object, clock: Clock) -> float:
    """Seconds that `ended`, an error or a result, asks to wait. 0 when it asks for nothing sensible."""
    asked: Any = getattr(ended, "retry_after", None)
    if asked is None:
        asked = _header(getattr(ended, "response", ended))
    if isinstance(asked, str):
        asked = _parse(asked, clock)
    if not isinstance(asked, int | float):
        return 0.0
    try:
        seconds = float(asked)
    except OverflowError:  # a whole number that no float can hold
        return 0.0
    # Not more than zero also answers for NaN.
    return seconds if seconds > 0 and isfinite(seconds) else 0.0


def _header(response: Any) -> str | None:
    headers = getattr(response, "headers", None)
    if headers is None or not hasattr(response, "status_code"):
        return None
    return next((value for key, value in headers.items() if key.lower() == "retry-after"), None)


def _parse(text: str, clock: Clock) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    from calendar import timegm  # noqa: PLC0415 - slow to import, rarely needed
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - as above

    try:
        # Without a zone, as in the oldest of HTTP's three formats, a date is in UTC too.
        return timegm(parsedate_to_datetime(text).utctimetuple()) - clock.wall()
    except (ValueError, OverflowError):
        return 0.0

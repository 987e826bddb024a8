"""Tools for tests of code that uses this library: virtual time, and proof that nothing leaks.

Nothing here is imported by the library itself.
"""

from bookstore.resilience._fakeclock import FakeClock

__all__ = ["FakeClock"]

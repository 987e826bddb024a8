"""What has to be told when a book looks different from before."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

Changed: TypeAlias = Callable[[Iterable[int]], Awaitable[None]]
"""Called with the books that a write has changed: after its commit, before its answer."""

"""The boards."""

from bookstore.lab.observe.boards.golden import GOLDEN
from bookstore.lab.observe.boards.promises import PROMISES
from bookstore.lab.observe.boards.queue import QUEUE
from bookstore.lab.observe.boards.resilience import RESILIENCE
from bookstore.lab.observe.boards.runtime import RUNTIME

BOARDS = (GOLDEN, RESILIENCE, QUEUE, PROMISES, RUNTIME)

__all__ = ["BOARDS"]

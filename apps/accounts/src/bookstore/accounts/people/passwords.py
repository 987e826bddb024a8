"""Passwords: argon2id in threads of its own, so that people who log in don't hold up those who are.

How long a check takes doesn't tell whether there is an account: one that isn't there is checked as well.
"""

import asyncio
import base64
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bookstore.accounts.people.model import as_hashed
from bookstore.resilience import Bulkhead, BulkheadFull
from bookstore.service.problem import Problem

T = TypeVar("T")

MOST_WAITING = 64
"""Passwords that may wait for their turn."""
PATIENCE = 0.8
"""Seconds that one may: who would wait longer is told to come again while somebody listens still, and isn't
hashed for nobody.
"""

_SALT, _HASH = 16, 32


class Passwords:
    """Hashes and checks passwords. Open it with `async with`.

    Args:
        memory: KiB for one password.
        passes: Passes over that memory.
        threads: How many are hashed at once; argon2 lets go of the interpreter meanwhile.
    """

    def __init__(self, *, memory: int, passes: int, threads: int) -> None:
        self._hasher = PasswordHasher(
            time_cost=passes, memory_cost=memory, parallelism=1, hash_len=_HASH, salt_len=_SALT
        )
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._turns = Bulkhead(threads, queue=MOST_WAITING, wait=PATIENCE, name="passwords")
        # Costs what a real one costs, and no password is known to fit it.
        salt, digest = (base64.b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (_SALT, _HASH))
        self._nobodys = f"$argon2id$v=19$m={memory},t={passes},p=1${salt}${digest}"

    async def __aenter__(self) -> Self:
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="argon2")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """What to keep of a password.

        Raises:
            Problem: 503 if too many wait already, or its turn doesn't come soon.
        """
        return await self._in_thread(lambda: self._hasher.hash(as_hashed(password)))

    async def fits(self, password: str, kept: str | None) -> bool:
        """Whether `password` is the one that `kept` was made of; None for an account that isn't there.

        The comparison takes the same time wherever two digests differ.

        Raises:
            Problem: 503 if too many wait already, or its turn doesn't come soon.
        """

        def check() -> bool:
            try:
                return self._hasher.verify(kept or self._nobodys, as_hashed(password))
            except (VerificationError, InvalidHashError):
                return False

        return await self._in_thread(check) and kept is not None

    def outdated(self, kept: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            turn = await self._turns.admit()
        except BulkheadFull:
            raise Problem(503, "busy", "too many people log in at this moment") from None

        def end(future: "asyncio.Future[T]") -> None:
            turn.drop()
            if not future.cancelled():
                future.exception()

        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        # Its turn lasts until the thread is through: a caller that gives up doesn't give the thread back.
        future.add_done_callback(end)
        return await asyncio.shield(future)

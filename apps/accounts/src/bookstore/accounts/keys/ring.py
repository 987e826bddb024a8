"""The keys in memory: read from the database a few times a second, kept while it is away."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from bookstore.accounts.keys.model import (
    Algorithm,
    KeyLocked,
    Private,
    Safe,
    SigningKey,
    signed,
    signing,
)
from bookstore.accounts.keys.store import KeyStore
from bookstore.service.database import DatabaseUnavailable
from bookstore.service.problem import Problem
from bookstore.service.tokens import Key

logger = logging.getLogger(__name__)

FRESH = 0.25
"""Seconds for which keys are taken from memory."""

_PATIENCE = 0.3
_PAUSE = 1.0


class Ring:
    """Signs tokens, finds keys for their verification, and lists the published ones."""

    def __init__(self, store: KeyStore, safe: Safe, algorithm: Algorithm) -> None:
        self._store = store
        self._safe = safe
        self._algorithm: Algorithm = algorithm
        self._keys: Sequence[SigningKey] = ()
        self._public: dict[str, Key] = {}
        self._opened: tuple[str, Private] | None = None
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def ensure(self) -> None:
        """Make the first key if there is none."""
        await self._store.ensure(self._algorithm, self._safe)
        self._read_at = float("-inf")

    async def check(self) -> None:
        """Return if tokens can be signed.

        Raises:
            KeyLocked: if the secret doesn't fit.
            Problem: if there is no key yet.
        """
        await self._signer()

    async def find(self, kid: str) -> Key | None:
        """The public key of that name, if it is published."""
        now = datetime.now(UTC)
        known = {key.kid for key in await self._read() if key.published(now)}
        return self._public.get(kid) if kid in known else None

    def known(self, kid: str) -> Key | None:
        """The same, if the keys were read a moment ago."""
        if monotonic() - self._read_at > FRESH:
            return None
        now = datetime.now(UTC)
        return (
            self._public.get(kid)
            if any(key.kid == kid and key.published(now) for key in self._keys)
            else None
        )

    async def published(self) -> list[dict[str, str]]:
        """All public keys, the newest first."""
        now = datetime.now(UTC)
        return [key.public for key in await self._read() if key.published(now)]

    async def sign(self, claims: dict[str, Any]) -> str:
        """A token with these claims."""
        return signed(claims, *await self._signer())

    async def _signer(self) -> tuple[SigningKey, Private]:
        key = signing(await self._read(), datetime.now(UTC))
        if key is None:
            raise Problem(503, "keys-unavailable", "there is no key to sign with yet")
        if self._opened is None or self._opened[0] != key.kid:
            try:
                self._opened = key.kid, self._safe.open(key)
            except KeyLocked as error:
                logger.error("tokens can't be signed", extra={"cause": str(error)})  # noqa: TRY400 - no trace needed
                raise Problem(503, "keys-unavailable", "tokens can't be signed") from error
        return key, self._opened[1]

    async def _read(self) -> Sequence[SigningKey]:
        if monotonic() - self._read_at > FRESH or not self._keys:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._reread())
                # One that nobody waited for to its end has been told in the log.
                self._reading.add_done_callback(lambda late: late.cancelled() or late.exception())
            # A database that doesn't answer holds up nobody for long who can do with the keys of before.
            await asyncio.wait({self._reading}, timeout=_PATIENCE if self._keys else None)
            error = self._reading.exception() if self._reading.done() else None
            if error is not None and not self._keys:
                raise error
        return self._keys

    async def _reread(self) -> None:
        try:
            keys = await self._store.all()
        except DatabaseUnavailable as error:
            logger.warning("keys can't be read", extra={"cause": str(error), "kept": len(self._keys)})
            self._read_at = monotonic() + _PAUSE
            raise
        known = self._public
        self._public = {key.kid: known.get(key.kid) or Key(key.public) for key in keys}
        self._keys = keys
        self._read_at = monotonic()

"""The customer that the console is: registered when it first buys, once in the monitor's life.

It is kept in memory. A monitor that starts again is another customer; the one before stays in the books of
accounts, and nobody knows its password any more.
"""

import asyncio
import secrets
from time import monotonic
from typing import Final

import msgspec

from bookstore.contracts.accounts import Tokens
from bookstore.contracts.console import TriedAnswer
from bookstore.monitor.trials.gate import Gate, Heard
from bookstore.service.upstream import Header

_EARLY: Final = 30.0
_CREATED, _OK, _TAKEN = 201, 200, 409
_HIDDEN: Final = "(tokens are not shown)"
_tokens = msgspec.json.Decoder(Tokens).decode


class Customer:
    """Somebody who buys books."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._email = f"console-{secrets.token_hex(6)}@example.com"
        self._password = secrets.token_urlsafe(24)
        self._registered = False
        self._token: tuple[str, float] | None = None
        self._coming = asyncio.Lock()

    async def identity(self) -> tuple[tuple[Header, ...], list[TriedAnswer]]:
        """The header that says who it is, and what had to be asked for that; no header if that failed."""
        async with self._coming:
            asked: list[TriedAnswer] = []
            if self._token is None or self._token[1] - _EARLY <= monotonic():
                self._token = None
                asked = await self._log_in()
            if self._token is None:
                return (), asked
            return ((b"authorization", b"Bearer " + self._token[0].encode()),), asked

    async def _log_in(self) -> list[TriedAnswer]:
        asked: list[Heard] = []
        if not self._registered:
            body = {"email": self._email, "password": self._password, "name": "Console"}
            asked.append(await self._gate.ask("POST", "/auth/register", body))
            # 409: it was registered, and the answer was lost.
            self._registered = asked[-1].status in (_CREATED, _TAKEN)
        if self._registered:
            body = {"email": self._email, "password": self._password}
            asked.append(await self._gate.ask("POST", "/auth/login", body))
            self._take(asked[-1])
        return [_without_tokens(heard) for heard in asked]

    def _take(self, heard: Heard) -> None:
        if heard.status == _OK:
            try:
                tokens = _tokens(heard.body)
            except ValueError:
                return
            self._token = tokens.access_token, monotonic() + tokens.expires_in


def _without_tokens(heard: Heard) -> TriedAnswer:
    """An answer to be shown: one that lets somebody in keeps that for itself."""
    if heard.status == _OK:
        return msgspec.structs.replace(heard.shown, body=_HIDDEN)
    return heard.shown

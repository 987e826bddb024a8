"""The keys of an issuer elsewhere: fetched in the background, kept while it is down."""

import asyncio
import logging
from time import monotonic
from typing import Any, Self

from bookstore.service.problem import Problem
from bookstore.service.tokens.key import LONGEST, Key, read_keys
from bookstore.service.upstream import Upstream, UpstreamError

logger = logging.getLogger(__name__)

PATH = "/.well-known/jwks.json"
_OK = 200


class RemoteKeys:
    """Verifying never waits for the issuer, but for a key that nobody has heard of: that is asked for once.

    Args:
        url: Where the issuer answers, `http://host:port`.
        path: Where its key set is.
        refresh: Seconds between two looks at the key set; less than the time for which a new key is published
            before it signs.
        again: Seconds between two extra looks for the sake of unknown keys: whoever sends made-up names of
            keys makes no more work than that. Also the pause after a look that failed.
        patience: Seconds that the issuer has to answer.
        at_start: Whether to fetch keys before anybody needs them. Where no token is required there may be no
            issuer at all: then the first token that comes is early enough, and it waits for the keys.
    """

    def __init__(
        self,
        url: str,
        *,
        path: str = PATH,
        refresh: float = 300.0,
        again: float = 10.0,
        patience: float = 2.0,
        at_start: bool = True,
    ) -> None:
        self._path = path
        self._issuer = Upstream(url, timeout=patience, max_answer=LONGEST, max_connections=2)
        self._refresh = refresh
        self._again = again
        self._at_start = at_start
        self._trouble = ""
        self._keys: dict[str, Key] = {}
        self._last_extra = float("-inf")
        self._look: asyncio.Task[bool] | None = None
        self._background: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._at_start:
            self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks: set[asyncio.Task[Any]] = {task for task in (self._background, self._look) if task is not None}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._issuer.aclose()

    async def find(self, kid: str) -> Key | None:
        """The key of that name.

        Raises:
            Problem: 503 if no keys could be had yet.
        """
        self._begin()
        if kid not in self._keys and self._may_ask():
            await asyncio.shield(self._looking())
        if not self._keys:
            raise Problem(503, "keys-unavailable", "tokens can't be verified yet")
        return self._keys.get(kid)

    def known(self, kid: str) -> Key | None:
        """The key of that name, if the last look at the key set has found it."""
        return self._keys.get(kid)

    def _begin(self) -> None:
        if self._background is None:
            self._looking()
            self._background = asyncio.create_task(self._keep_fresh())

    def _may_ask(self) -> bool:
        if self._look is not None and not self._look.done():
            return True  # one is under way: its answer is as good
        if monotonic() - self._last_extra < self._again:
            return False
        self._last_extra = monotonic()
        return True

    def _looking(self) -> asyncio.Task[bool]:
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._fetch())
        return self._look

    async def _keep_fresh(self) -> None:
        while True:
            fetched = await asyncio.shield(self._looking())
            first_pause = self._again / 10
            await asyncio.sleep(self._refresh if fetched else self._again if self._keys else first_pause)

    async def _fetch(self) -> bool:
        try:
            answer = await self._issuer.request("GET", self._path)
            keys = read_keys(answer.body) if answer.status == _OK else {}
            cause = "" if keys else f"it answers {answer.status}, and no key that we can use"
        except (UpstreamError, ValueError) as error:
            keys, cause = {}, str(error)
        self._tell(cause)
        if not keys:
            return False
        # An unchanged key stays the same object: tokens that it verified stay known.
        self._keys = {kid: self._same(key) for kid, key in keys.items()}
        return True

    def _tell(self, trouble: str) -> None:
        """Log what stands in the way when that changes, and not each time that somebody has looked."""
        if trouble == self._trouble:
            return
        if trouble:
            logger.warning("keys can't be had", extra={"cause": trouble, "kept": len(self._keys)})
        else:
            logger.info("keys can be had again")
        self._trouble = trouble

    def _same(self, key: Key) -> Key:
        known = self._keys.get(key.kid)
        return known if known is not None and known.same_as(key) else key

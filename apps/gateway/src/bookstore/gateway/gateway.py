"""The gateway as it runs: the file that it goes by, and all that outlives a change of it."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from bookstore.gateway import config as configs
from bookstore.gateway.config import Config, ConfigError
from bookstore.gateway.limits import Counter
from bookstore.gateway.settings import GatewaySettings
from bookstore.gateway.snapshot import Snapshot, build
from bookstore.gateway.tally import Tally
from bookstore.gateway.upstreams import Group
from bookstore.service.tokens import Access, RemoteKeys, Verifier

logger = logging.getLogger(__name__)

_Issuer = tuple[str | None, str, str]


class Gateway:
    """Holds the snapshot that serves, and replaces it.

    Health, counts of limits, verified tokens and running requests survive a change; what the new file
    doesn't know any more ends when its last request does. Should the process die, nothing is lost but health,
    which the first probe finds out again.
    """

    def __init__(self, settings: GatewaySettings, config: Config) -> None:
        self._settings = settings
        self._counter = Counter(settings.redis_url, settings.gateway_replicas)
        self._groups: dict[str, Group] = {}
        self._issuer: _Issuer = (None, "", "")
        self._keys: RemoteKeys | None = None
        self._access: Access | None = None
        self._changing = asyncio.Lock()
        self._leftovers: set[asyncio.Task[None]] = set()
        self._first = config
        self.tally = Tally()
        self.snapshot: Snapshot
        """What serves now."""

    def read(self) -> Config:
        """The file that the settings name, or the one that comes along.

        Raises:
            ConfigError: with all that is wrong with it.
        """
        return read(self._settings)

    async def load(self, config: Config) -> None:
        """Serve by this from now on: of two requests, one goes by the old file and the next by the new."""
        async with self._changing:
            old_keys = await self._know_the_issuer(config)
            known = {url: member for group in self._groups.values() for url, member in group.by_url.items()}
            # From here to the end nothing is awaited, so that no request sees half of it.
            groups: dict[str, Group] = {}
            for name, rule in config.upstreams.items():
                group = self._groups.pop(name, None)
                if group is None:
                    group = Group(name, rule, elsewhere=known, tally=self.tally)
                    group.start()
                else:
                    group.adapt(rule)
                groups[name] = group
            gone, self._groups = self._groups, groups
            networks = self._settings.networks
            self.snapshot = build(config, groups, self._counter, self._access, networks)
            for group in gone.values():
                self._later(group.retire())
            if old_keys is not None:
                self._later(old_keys.__aexit__(None, None, None))
            self.tally.reloads["ok"] += 1

    async def reload(self) -> None:
        """Read the file again; what is wrong with it goes to the log, and changes nothing."""
        try:
            await self.load(self.read())
        except ConfigError as error:
            self.tally.reloads["refused"] += 1
            problems = [str(problem) for problem in error.problems]
            logger.warning("the file was refused: the old one holds", extra={"problems": problems})
        else:
            logger.info("the file was read again")

    async def __aenter__(self) -> Self:
        await self._counter.__aenter__()
        await self.load(self._first)
        with contextlib.suppress(ValueError, RuntimeError):  # only the main thread hears signals
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: self._later(self.reload()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ValueError, RuntimeError):
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        for task in self._leftovers:
            task.cancel()
        await asyncio.gather(*(group.aclose() for group in self._groups.values()))
        if self._keys is not None:
            await self._keys.__aexit__(None, None, None)
        await self._counter.__aexit__(None, None, None)

    async def _know_the_issuer(self, config: Config) -> RemoteKeys | None:
        """Have the keys of the file's issuer; gives those of the one before, if that is another."""
        issuer = (config.jwks, config.issuer, config.audience)
        if issuer == self._issuer:
            return None
        old, self._issuer, self._keys, self._access = self._keys, issuer, None, None
        if config.jwks is not None:
            url = urlsplit(config.jwks)
            path = f"{url.path}?{url.query}" if url.query else url.path
            self._keys = await RemoteKeys(f"{url.scheme}://{url.netloc}", path=path).__aenter__()
            verifier = Verifier(self._keys, issuer=config.issuer, audience=config.audience)
            self._access = Access(verifier, required=True)
        return old

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._leftovers.add(task)
        task.add_done_callback(self._leftovers.discard)


def read(settings: GatewaySettings, path: Path | None = None) -> Config:
    """The file that is named here, or by the settings, or the one that comes along.

    Raises:
        ConfigError: with all that is wrong with it.
    """
    urls = settings.urls
    named = path or (Path(settings.gateway_config) if settings.gateway_config else None)
    return configs.default(urls) if named is None else configs.read_file(named, urls)

"""A Redis with replicas and Sentinels on loopback, for tests: a replica takes the place of a lost master."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from bookstore.stores.account import Account, folder_argument, unprivileged
from bookstore.stores.binaries import redis_server
from bookstore.stores.errors import StoreError
from bookstore.stores.ports import LOOPBACK, any_free
from bookstore.stores.private import make_private_folder, write_private
from bookstore.stores.process import Program
from bookstore.stores.redis import Redis, redis_answers, redis_environment, redis_text
from bookstore.stores.server import Server, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from bookstore.stores.guardian import Guardian

SERVICE: Final = "bookstore"
READY_SECONDS: Final = 60.0

CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
protected-mode yes
daemonize no
dir {folder}
sentinel monitor {service} {host} {master} {quorum}
sentinel auth-pass {service} {master_password}
sentinel down-after-milliseconds {service} {timeout}
sentinel failover-timeout {service} {failover}
"""


@dataclass(frozen=True, kw_only=True)
class Sentinel:
    """Where a Sentinel lives and how it is started.

    Attributes:
        folder: for its configuration, which it rewrites itself.
        port: the port on loopback.
        password: of the Sentinel.
        master: what it looks after.
        quorum: how many Sentinels must agree that the master is gone.
        timeout: milliseconds of silence after which it is.
        account: the system account to run under.
    """

    folder: Path
    port: int
    password: str
    master: Redis
    quorum: int
    timeout: int
    account: Account | None = field(default_factory=unprivileged)

    @property
    def url(self) -> str:
        """The connection URL of the Sentinel itself."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        """Write its configuration, unless it has one: what it has learned stands there."""
        make_private_folder(self.folder, self.account)
        path = self.folder / "sentinel.conf"
        if path.exists():
            return
        text = CONFIGURATION.format(
            host=LOOPBACK,
            port=self.port,
            password=self.password,
            folder=folder_argument(self.folder, self.account),
            service=SERVICE,
            master=self.master.port,
            quorum=self.quorum,
            master_password=self.master.password,
            timeout=self.timeout,
            failover=self.timeout * 5,
        )
        write_private(path, text, self.account)

    def program(self) -> Program:
        """The process of the Sentinel."""
        configuration = f"{folder_argument(self.folder, self.account)}/sentinel.conf"
        return Program(
            argv=[str(redis_server(self.account)), configuration, "--sentinel"],
            folder=self.folder,
            environment=redis_environment(),
            account=self.account,
        )

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether it answers commands now."""
        return redis_answers(self.url, timeout)


class WatchedRedis:
    """A master, its replicas, and Sentinels. Use it as a context manager, or call `start` and `close`.

    Args:
        folder: where their data goes.
        guardian: ends them, should their owner be killed.
        replicas: how many the master has.
        sentinels: how many look after it; most of them must agree.
        timeout: milliseconds of silence after which the master counts as gone.
    """

    def __init__(
        self, folder: Path, guardian: Guardian, *, replicas: int = 1, sentinels: int = 3, timeout: int = 1000
    ) -> None:
        self.password, self._sentinel_password = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        master = self._server(folder / "server-0", {})
        follows = {"replicaof": f"{LOOPBACK} {master.port}"}
        others = [self._server(folder / f"server-{number + 1}", follows) for number in range(replicas)]
        self.servers = [Server(store, guardian) for store in (master, *others)]
        self.sentinels = [
            Server(
                Sentinel(
                    folder=folder / f"sentinel-{number}",
                    port=any_free(),
                    password=self._sentinel_password,
                    master=master,
                    quorum=sentinels // 2 + 1,
                    timeout=timeout,
                ),
                guardian,
            )
            for number in range(sentinels)
        ]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What clients are told: all Sentinels, and the service that they know."""
        hosts = ",".join(f"{LOOPBACK}:{each.port}" for each in self.sentinels)
        return (
            f"redis+sentinel://:{self.password}@{hosts}/{SERVICE}?sentinel_password={self._sentinel_password}"
        )

    def start(self) -> None:
        """Start all, and return when the Sentinels know each other and all servers.

        Raises:
            StoreError: one didn't start, or they didn't come together in time.
        """
        for each in (*self.servers, *self.sentinels):
            each.start()
        known = f"slaves={len(self.servers) - 1},sentinels={len(self.sentinels)}"
        if not wait_for(
            lambda: all(
                f"status=ok,address={LOOPBACK}:{self.servers[0].port},{known}"
                in redis_text(each.url, "INFO", "sentinel")
                for each in self.sentinels
            ),
            READY_SECONDS,
        ):
            raise StoreError("The Sentinels don't know all that there is.", "Look at their logs.")

    def close(self) -> None:
        """Kill all of them and remove their data."""
        for each in (*self.sentinels, *self.servers):
            each.close()

    def _server(self, folder: Path, settings: dict[str, str]) -> Redis:
        return Redis(
            folder=folder,
            port=any_free(),
            password=self.password,
            account=unprivileged(),
            durable=False,
            settings={
                **settings,
                "masterauth": self.password,
                "repl-diskless-sync": "yes",
                "repl-diskless-sync-delay": "0",
            },
        )

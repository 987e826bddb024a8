"""A Redis Cluster on loopback, for tests: masters and their replicas, each an ordinary server."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, Self

from bookstore.stores.account import unprivileged
from bookstore.stores.errors import StoreError
from bookstore.stores.ports import HIGHEST_PORT, LOOPBACK, any_free, is_free
from bookstore.stores.redis import Redis, redis_command, redis_text
from bookstore.stores.server import Server, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bookstore.stores.guardian import Guardian

SLOTS: Final = 16384
BUS: Final = 10_000
"""How far above a node's port the one is that nodes talk to each other on."""
FORMED_SECONDS: Final = 60.0


class RedisCluster:
    """Nodes that make one Redis. Use it as a context manager, or call `start` and `close`.

    Args:
        folder: where their data goes.
        guardian: ends them, should their owner be killed.
        masters: how many share the slots.
        replicas: how many each master has.
        timeout: milliseconds of silence after which a node counts as failed.
    """

    def __init__(
        self, folder: Path, guardian: Guardian, *, masters: int = 3, replicas: int = 1, timeout: int = 1000
    ) -> None:
        self.password = secrets.token_urlsafe(12)
        self._masters = masters
        self.nodes = [
            Server(self._store(folder / f"node-{number}", timeout), guardian)
            for number in range(masters * (1 + replicas))
        ]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What clients are told: all nodes."""
        hosts = ",".join(f"{LOOPBACK}:{node.port}" for node in self.nodes)
        return f"redis+cluster://:{self.password}@{hosts}"

    def start(self) -> None:
        """Start the nodes, and return when all agree that the cluster is well.

        Raises:
            StoreError: a node didn't start, or they didn't come together in time.
        """
        for node in self.nodes:
            node.start()
        masters, replicas = self.nodes[: self._masters], self.nodes[self._masters :]
        for number, master in enumerate(masters):
            first, last = (SLOTS * end // len(masters) for end in (number, number + 1))
            self._tell(master, "ADDSLOTS", *map(str, range(first, last)))
        for number, node in enumerate(self.nodes):
            # Nodes with different epochs have nothing to argue about.
            self._tell(node, "SET-CONFIG-EPOCH", str(number + 1))
        for node in self.nodes[1:]:
            self._tell(node, "MEET", LOOPBACK, str(self.nodes[0].port))
        self._until("nodes know each other", lambda: all(map(self._knows_all, self.nodes)))
        for number, replica in enumerate(replicas):
            self._tell(replica, "REPLICATE", self.id_of(masters[number % len(masters)]))
        self._until("all slots are served", lambda: all(map(_is_well, self.nodes)))
        self._until(
            "replicas follow", lambda: all("master_link_status:up" in _info(each) for each in replicas)
        )

    def id_of(self, node: Server) -> str:
        """What the cluster calls a node."""
        return redis_text(node.url, "CLUSTER", "MYID")

    def close(self) -> None:
        """Kill all nodes and remove their data."""
        for node in self.nodes:
            node.close()

    def _store(self, folder: Path, timeout: int) -> Redis:
        return Redis(
            folder=folder,
            port=_free_with_bus(),
            password=self.password,
            account=unprivileged(),
            durable=False,
            settings={
                "cluster-enabled": "yes",
                "cluster-node-timeout": str(timeout),
                # A replica takes over however long it has heard nothing.
                "cluster-replica-validity-factor": "0",
                "masterauth": self.password,
                "repl-diskless-sync": "yes",
                "repl-diskless-sync-delay": "0",
            },
        )

    def _tell(self, node: Server, *words: str) -> None:
        answer = redis_command(node.url, "CLUSTER", *words)
        if answer != "+OK":
            raise StoreError(f"A node of the cluster refused {words[0]}: {answer}", "Its log may say more.")

    def _knows_all(self, node: Server) -> bool:
        nodes = redis_text(node.url, "CLUSTER", "NODES").splitlines()
        return len(nodes) == len(self.nodes) and "handshake" not in " ".join(nodes)

    @staticmethod
    def _until(what: str, condition: Callable[[], bool]) -> None:
        if not wait_for(condition, FORMED_SECONDS):
            raise StoreError(
                f"The cluster isn't well: it never came that {what}.", "Look at the nodes' logs."
            )


def _is_well(node: Server) -> bool:
    return "cluster_state:ok" in redis_text(node.url, "CLUSTER", "INFO")


def _info(node: Server) -> str:
    return redis_text(node.url, "INFO", "replication")


def _free_with_bus() -> int:
    while True:
        port = any_free()
        if port + BUS <= HIGHEST_PORT and is_free(port + BUS):
            return port

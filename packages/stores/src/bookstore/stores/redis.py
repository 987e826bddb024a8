"""An embedded Redis: an ordinary server with its data in one folder, on loopback, behind a password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from bookstore.stores.account import Account, folder_argument
from bookstore.stores.binaries import redis_server
from bookstore.stores.guardian import interpreter_environment
from bookstore.stores.ports import LOOPBACK
from bookstore.stores.private import make_private_folder, write_private
from bookstore.stores.process import Program
from bookstore.stores.redis_place import bulk, read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Keys without a time to live (the stream) are never evicted, those with one (the cache) may be.
CONFIGURATION = """\
# Written by bookstore at each start.
bind {host}
port {port}
requirepass {password}
protected-mode yes
daemonize no
dir {folder}
appendonly {appendonly}
save ""
databases 16
maxmemory 128mb
maxmemory-policy volatile-lru
{more}"""


@dataclass(frozen=True, kw_only=True)
class Redis:
    """Where an embedded Redis lives and how it is started; whoever starts it owns the process.

    Attributes:
        folder: the folder for its data, which `prepare` makes.
        port: the port on loopback.
        password: everybody's; a URL-safe one.
        account: the system account to run under (see `unprivileged`).
        durable: False keeps nothing on disk, for tests.
        settings: more of them, by their names in redis.conf.
    """

    folder: Path
    port: int
    password: str
    account: Account | None = None
    durable: bool = True
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def url(self) -> str:
        """The connection URL."""
        return f"redis://:{quote(self.password, safe='')}@{LOOPBACK}:{self.port}/0"

    def prepare(self) -> None:
        """Make the folder if it isn't there, and write the configuration."""
        make_private_folder(self.folder, self.account)
        text = CONFIGURATION.format(
            host=LOOPBACK,
            port=self.port,
            password=self.password,
            folder=folder_argument(self.folder, self.account),
            appendonly="yes" if self.durable else "no",
            more="".join(f"{name} {value}\n" for name, value in self.settings.items()),
        )
        write_private(self.folder / "redis.conf", text, self.account)

    def program(self) -> Program:
        """The server's process."""
        return Program(
            argv=[
                str(redis_server(self.account)),
                f"{folder_argument(self.folder, self.account)}/redis.conf",
            ],
            folder=self.folder,
            environment=redis_environment(),
            account=self.account,
        )

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether the server answers commands now."""
        return redis_answers(self.url, timeout)


def redis_environment() -> dict[str, str]:
    """What a server is started with."""
    return interpreter_environment() | {"LC_ALL": "C", "TZ": "UTC"}


def redis_answers(url: str, timeout: float = 1.0) -> bool:
    """Whether the Redis at `url` answers a PING: neither silent, nor loading, nor refusing our password.

    Of a cluster, or of one that Sentinels look after, see `RedisPlace.complaint`.
    """
    return read(url).complaint(timeout) is None


def redis_command(url: str, *words: str, timeout: float = 1.0) -> str:
    """Send one command to the Redis at `url` and return the first line of its answer, with its type mark.

    For probes and for clearing up, where a client library would be too much.

    Raises:
        OSError: nobody answers in time.
    """
    place = read(url)
    with place.asked(place.seeds[0], words, timeout) as (line, _):
        return line


def redis_text(url: str, *words: str, timeout: float = 1.0) -> str:
    """Send one command whose answer is a text, such as INFO, and return all of it.

    Raises:
        OSError: nobody answers in time, or with something else.
    """
    place = read(url)
    with place.asked(place.seeds[0], words, timeout) as (line, answers):
        return bulk(line, answers)

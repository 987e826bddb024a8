"""Where a Redis is, as its URL says, and whether it answers: a server, a cluster, or behind Sentinels.

    redis://user:password@host:6379/0
    redis+cluster://user:password@host:6379,host:6379
    redis+sentinel://user:password@host:26379,host:26379/service/0?sentinel_password=word

`rediss` in the place of `redis` is TLS, told of by the options that redis-py has, such as `ssl_ca_certs`.
"""

from __future__ import annotations

import re
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

from bookstore.stores.ports import HIGHEST_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from io import BufferedReader

Kind = Literal["server", "cluster", "sentinel"]

_KINDS: Final[dict[str | None, Kind]] = {None: "server", "cluster": "cluster", "sentinel": "sentinel"}
_PORTS: Final[dict[Kind, int]] = {"server": 6379, "cluster": 6379, "sentinel": 26379}
_URL: Final = re.compile(
    r"(?P<scheme>rediss?(\+(?P<kind>cluster|sentinel))?)://((?P<login>[^/?\s]*)@)?"
    r"(?P<hosts>[^@/?#\s]*)(?P<path>/[^?#\s]*)?(\?(?P<query>[^#\s]*))?"
)
_NONE: Final = "no URL of a Redis"
_HOST: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]:\s]+)(:(?P<port>\d{1,5}))?")
_SHOWN: Final = (
    "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname",
)  # fmt: skip
"""Options that say what a connection is like, and hold nothing that is secret."""
_NO: Final = ("false", "no", "0")


class Address(NamedTuple):
    """Where one server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class RedisPlace:
    """All that a URL tells. See `read`.

    Attributes:
        scheme: what it begins with.
        kind: what stands behind the seeds.
        seeds: the server itself; or nodes of a cluster, or Sentinels.
        service: what Sentinels call the server.
        database: its number; nothing for the first one.
        login: what servers want to hear with AUTH.
        watcher_login: the same for Sentinels.
        options: further ones, by redis-py's names.
    """

    scheme: str
    kind: Kind
    seeds: tuple[Address, ...]
    service: str = ""
    database: str = ""
    login: tuple[str, ...] = field(default=(), repr=False)
    watcher_login: tuple[str, ...] = field(default=(), repr=False)
    options: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def address(self) -> str:
        """The URL without all that opens anything: for people, and for those who only look."""
        shown = urlencode({name: self.options[name] for name in _SHOWN if name in self.options}, safe="/")
        service = f"/{self.service}" if self.service else ""
        return f"{self.scheme}://{','.join(map(str, self.seeds))}{service}{'?' if shown else ''}{shown}"

    def complaint(self, timeout: float = 1.0) -> str | None:
        """What keeps us from using it, in some words; None if nothing does.

        A cluster must have all its slots served, as one node says at least; a master must be known to one
        Sentinel, and answer. All are asked at once, so that one that is frozen holds up nobody.
        """
        judge = {"server": self._server, "cluster": self._node, "sentinel": self._watcher}[self.kind]
        if len(self.seeds) == 1:
            return _said(judge, self.seeds[0], timeout)
        with ThreadPoolExecutor(len(self.seeds)) as pool:
            asked = [pool.submit(_said, judge, seed, timeout) for seed in self.seeds]
        found = [each.result() for each in asked]
        return None if None in found else found[0]

    @contextmanager
    def asked(
        self, server: Address, words: Sequence[str], timeout: float, *, login: Sequence[str] | None = None
    ) -> Generator[tuple[str, BufferedReader]]:
        """The first line of a server's answer, and where to read on.

        Raises:
            OSError: nobody answers in time.
        """
        login = self.login if login is None else login
        commands = [["AUTH", *login]] if login else []
        if self.database and login is self.login:
            commands.append(["SELECT", self.database])
        commands.append(list(words))
        with self._connection(server, timeout) as connection:
            connection.sendall(b"".join(_encoded(command) for command in commands))
            with connection.makefile("rb") as answers:
                lines = [_line(answers) for _ in commands]
                if not lines[-1]:
                    raise ConnectionResetError("the server closed the connection")
                # A refused AUTH explains more than the NOAUTH behind it.
                yield next((line for line in lines if line.startswith("-")), lines[-1]), answers

    @contextmanager
    def _connection(self, server: Address, timeout: float) -> Generator[socket.socket]:
        with socket.create_connection(server, timeout=timeout) as plain:
            if not self.scheme.startswith("rediss"):
                yield plain
                return
            with self._tls().wrap_socket(plain, server_hostname=server.host) as secure:
                yield secure

    def _tls(self) -> ssl.SSLContext:
        told = self.options
        context = ssl.create_default_context(cafile=told.get("ssl_ca_certs"), capath=told.get("ssl_ca_path"))
        if told.get("ssl_certfile"):
            context.load_cert_chain(told["ssl_certfile"], told.get("ssl_keyfile"), told.get("ssl_password"))
        context.check_hostname = told.get("ssl_check_hostname", "true").lower() not in _NO
        if told.get("ssl_cert_reqs") == "none":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _server(self, server: Address, timeout: float) -> str | None:
        with self.asked(server, ["PING"], timeout) as (line, _):
            return None if line == "+PONG" else line.lstrip("-")

    def _node(self, node: Address, timeout: float) -> str | None:
        with self.asked(node, ["CLUSTER", "INFO"], timeout) as (line, answers):
            told = bulk(line, answers)
        return None if "cluster_state:ok" in told.split() else told.partition("\n")[0].strip()

    def _watcher(self, watcher: Address, timeout: float) -> str | None:
        words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service]
        with self.asked(watcher, words, timeout, login=self.watcher_login) as (line, answers):
            if line != "*2":
                return line.lstrip("-") if line.startswith("-") else f"a Sentinel knows no {self.service}"
            host, port = (bulk(_line(answers), answers) for _ in range(2))
        return self._server(Address(host, int(port)), timeout)


def read(url: str) -> RedisPlace:
    """What `url` tells.

    Raises:
        ValueError: it isn't such a URL; the message doesn't repeat it.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError(_NONE)
    kind = _KINDS[parts["kind"]]
    seeds = [_address(host, _PORTS[kind]) for host in parts["hosts"].split(",")]
    path = unquote((parts["path"] or "")[1:])
    service, _, database = path.partition("/") if kind == "sentinel" else ("", "", path)
    if (
        (kind == "server" and len(seeds) > 1)
        or (kind == "cluster" and path)
        or (kind == "sentinel" and not service)
        or not (database.isdecimal() or not database)
    ):
        raise ValueError(_NONE)
    options = dict(parse_qsl(parts["query"] or ""))
    if not parts["scheme"].startswith("rediss") and any(name.startswith("ssl_") for name in options):
        raise ValueError(_NONE)  # it was to have TLS, and would have none
    name, _, password = (parts["login"] or "").partition(":")
    return RedisPlace(
        scheme=parts["scheme"],
        kind=kind,
        seeds=tuple(seeds),
        service=service,
        database=database.lstrip("0"),
        login=_login(unquote(name), unquote(password)),
        watcher_login=_login(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
        options=options,
    )


def _address(text: str, port: int) -> Address:
    found = _HOST.fullmatch(text)
    if found is None or not 0 < int(found["port"] or port) <= HIGHEST_PORT:
        raise ValueError(_NONE)
    return Address(found["host"].strip("[]"), int(found["port"] or port))


def _login(name: str, password: str) -> tuple[str, ...]:
    return tuple(filter(None, [name, password])) if password else ()


def _said(judge: Callable[[Address, float], str | None], seed: Address, timeout: float) -> str | None:
    try:
        return judge(seed, timeout)
    except (OSError, UnicodeError) as error:  # a name that can't be one fails to be encoded
        return f"{seed}: {getattr(error, 'strerror', None) or error}"


def bulk(line: str, answers: BufferedReader) -> str:
    """A text such as INFO gives, whose length the first line tells.

    Raises:
        OSError: the answer is something else.
    """
    if not line.startswith("$"):
        raise OSError(line.lstrip("-"))
    return answers.read(int(line[1:]) + 2).decode(errors="replace").removesuffix("\r\n")


def _line(answers: BufferedReader) -> str:
    return answers.readline().decode(errors="replace").rstrip()


def _encoded(words: Sequence[str]) -> bytes:
    body = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in (text.encode() for text in words))
    return b"*%d\r\n%s" % (len(words), body)

"""What REDIS_URL says: one server, a cluster, or a server that Sentinels look after.

    redis://user:password@host:6379/0
    redis+cluster://user:password@host:6379,host:6379
    redis+sentinel://user:password@host:26379,host:26379/service/0?sentinel_password=word

`rediss` in the place of `redis` is TLS, to Sentinels as well. User and password are those of the servers.
What redis-py takes behind a question mark is taken here too, such as `ssl_ca_certs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast
from urllib.parse import unquote

from redis.asyncio.connection import SSLConnection
from redis.connection import parse_url  # pyright: ignore[reportUnknownVariableType]

Kind: TypeAlias = Literal["server", "cluster", "sentinel"]

_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379


class Server(NamedTuple):
    """Where one server listens: a host and a port, or a socket's path."""

    host: str
    port: int
    path: str = ""


class Login(NamedTuple):
    """Who one is to a server."""

    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return "Login(...)"


NOBODY: Final = Login()


@dataclass(frozen=True, kw_only=True)
class Place:
    """All that a URL tells.

    Attributes:
        kind: what stands behind the seeds.
        seeds: the server itself; or nodes of a cluster, or Sentinels, which know where the server is.
        service: what Sentinels call the server.
        login: for servers.
        sentinel_login: for Sentinels.
        database: its number.
        tls: None without.
        options: what redis-py wants to know of all this, without the address.
    """

    kind: Kind
    seeds: tuple[Server, ...]
    service: str = ""
    login: Login = NOBODY
    sentinel_login: Login = NOBODY
    database: int = 0
    tls: SSLContext | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


def read(url: str) -> Place:
    """What `url` tells. Its form has been checked by the settings."""
    scheme, _, rest = url.partition("://")
    protocol, _, name = scheme.partition("+")
    if not name:
        options = _options(url)
        seed = Server(options.pop("host", "localhost"), options.pop("port", _PORT), options.pop("path", ""))
        return Place(kind="server", seeds=(seed,), **_told(options, secure=scheme == "rediss"))
    rest, question, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    secure = protocol == "rediss"
    if name == "cluster":
        options = _options(f"{protocol}://{user}{at}{question}{query}")
        return Place(kind="cluster", seeds=_servers(hosts, _PORT), **_told(options, secure=secure))
    service, _, database = path.partition("/")
    options = _options(f"{protocol}://{user}{at}/{database}{question}{query}")
    login = Login(options.pop("sentinel_username", ""), options.pop("sentinel_password", ""))
    return Place(
        kind="sentinel",
        seeds=_servers(hosts, _SENTINEL_PORT),
        service=unquote(service),
        sentinel_login=login,
        **_told(options, secure=secure),
    )


def _options(url: str) -> dict[str, Any]:
    options = dict(cast("dict[str, Any]", parse_url(url)))
    options.pop("connection_class", None)
    return options


def _told(options: dict[str, Any], *, secure: bool) -> dict[str, Any]:
    """What all forms have in common."""
    return {
        "login": Login(options.get("username", ""), options.get("password", "")),
        "database": int(options.get("db") or 0),
        "tls": _tls(options) if secure else None,
        "options": options,
    }


def _tls(options: Mapping[str, Any]) -> SSLContext:
    """As redis-py itself would check certificates, told by the same options."""
    told = {name: value for name, value in options.items() if name.startswith("ssl_")}
    return cast("SSLContext", SSLConnection(**told).ssl_context.get())  # pyright: ignore[reportUnknownMemberType]


def _servers(hosts: str, port: int) -> tuple[Server, ...]:
    return tuple(_server(each, port) for each in hosts.split(","))


def _server(text: str, port: int) -> Server:
    host, colon, number = text.rpartition(":")
    if not colon or "]" in number:  # an IPv6 address has colons of its own
        host, number = text, ""
    return Server(unquote(host).strip("[]"), int(number or port))

"""Redis, as a help that a service can do without: every call is bounded, and failing is cheap."""

from collections import deque
from typing import Any, Final, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - redis-py's own, which its callers look for
    MasterDownError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
)

from bookstore.service.redis_home import Home
from bookstore.service.redis_session import RedisAway
from bookstore.service.redis_url import Server

_ELSEWHERE: Final = (MovedError, ReadOnlyError, ClusterDownError, MasterDownError)
"""How a server says that what it is asked for is not, or no longer, its own."""
_ASKING: Final = b"*1\r\n$6\r\nASKING\r\n"


def connect(home: Home, *, patience: float = 0.25, connections: int = 32) -> Redis:
    """A client for the keys of `home`: bounded, and nothing is ever repeated behind the caller's back.

    A command takes `patience` seconds at most, and as long again for each step of getting a connection. One
    that finds that the keys are another server's by now fails; the next one goes there. Close it with
    `aclose()`.
    """
    place = home.place
    how: dict[str, Any] = {
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
        "health_check_interval": 0,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": False,
        **place.options,
    }
    if place.seeds[0].path:
        kind: type[Any] = UnixDomainSocketConnection
        how["path"] = place.seeds[0].path
    else:
        kind = _SecureHomeConnection if place.tls else _HomeConnection
        how |= {"home": home, "socket_keepalive": True}
    pool = BlockingConnectionPool(connection_class=kind, max_connections=connections, timeout=patience, **how)
    return Redis.from_pool(pool)


class _HomeConnection(Connection):
    """A connection to the server that is `home` when it is made."""

    def __init__(self, *, home: Home, **how: Any) -> None:
        super().__init__(**how)  # pyright: ignore[reportUnknownMemberType]
        self._home = home
        self._server = Server("", 0)
        self._guest: _Guest | None = None

    async def connect(self) -> None:
        """What the pool calls before each use; a server that isn't home any more is left, though it answers.

        One that was frozen while another took its place takes itself for the master when it wakes up.
        """
        if self.is_connected and self._home.place.kind != "server":
            try:
                at_home = await self._home.find() == self._server
            except RedisAway:
                at_home = False
            if not at_home:
                await super().disconnect(nowait=True)
        await super().connect()

    async def _connect(self) -> None:
        try:
            self._server = await self._home.find()
        except RedisAway as error:
            raise ConnectionError(str(error)) from error
        self.host, self.port = self._server.host, self._server.port
        self._guest = None
        await super()._connect()

    async def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's
        """Introduce ourselves, and see that this is a server to keep something on."""
        as_guest = self._home.as_guest
        await super().on_connect_check_health(check_health)
        if self._home.place.kind == "sentinel":
            await self._check_role()
        if as_guest:
            self._guest = _Guest()

    async def disconnect(self, *how: Any, **more: Any) -> None:
        """Whatever ends a connection may be the end of its server."""
        self._home.lost(self._server)
        await super().disconnect(*how, **more)

    def pack_command(self, *words: Any) -> list[bytes]:
        """As redis-py's; a guest asks to be let in, each time."""
        packed = super().pack_command(*words)
        return [_ASKING, *packed] if self._guest and self._guest.asks(words[0]) else packed

    async def read_response(self, *how: Any, **more: Any) -> Any:
        """As redis-py's; an answer that leads elsewhere ends the connection."""
        try:
            if self._guest and self._guest.asked.popleft():
                await super().read_response()
            return cast("Any", await super().read_response(*how, **more))
        except ResponseError as error:
            if type(error) is AskError:
                self._home.moving(_target(error, self.host))
            # A script says it in its own words.
            elif isinstance(error, _ELSEWHERE) or "READONLY" in str(error):
                self._home.lost(self._server)
            else:
                raise
            # Not our own, which would forget where the keys are on their way to.
            await super().disconnect(nowait=True)
            raise ConnectionError("the keys are another server's") from error

    async def _check_role(self) -> None:
        """A server that was master before may not know yet that it isn't any more; this one knows."""
        await self.send_command("ROLE", check_health=False)
        try:
            role = await self.read_response()
        except NoPermissionError:
            return  # then the first write tells
        if role[0] != b"master":
            raise ConnectionError("the server is a replica")


def _target(ask: Any, here: str) -> Server:
    """Where an ASK leads; a node that isn't told its name is reached as the one that was asked."""
    return Server(ask.host or here, ask.port)


class _SecureHomeConnection(_HomeConnection, SSLConnection):
    pass


class _Guest:
    """Says before which commands a guest asks to be let in: before each, but not inside of a transaction."""

    def __init__(self) -> None:
        self.asked: deque[bool] = deque()
        """For each command whose answer is still to come, whether there is an answer to the asking before."""
        self._within = False

    def asks(self, command: Any) -> bool:
        """Note the next command; whether it is asked for."""
        asks = not self._within
        self._within = command == "MULTI" or (self._within and command != "EXEC")
        self.asked.append(asks)
        return asks

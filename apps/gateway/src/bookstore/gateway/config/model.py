"""What the file may say. A field that isn't here is refused, and so is a value outside of its bounds."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from bookstore.contracts.values import END

Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=86_400)]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}" + END)]
Path: TypeAlias = Annotated[str, Meta(pattern=r"^/\S*" + END)]
Method: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Z][A-Z-]{0,31}" + END)]
Origin: TypeAlias = Annotated[str, Meta(pattern=r"^(https?://[^\s/]+|\*)" + END)]
EXACT_UP_TO = 1000
Reason: TypeAlias = Literal["connect", "reset", "timeout", "502", "503", "504"]


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Target(_Part, frozen=True, kw_only=True):
    """One process of a service."""

    url: Annotated[str, Meta(pattern=r"^(https?://[^\s/:@]+(:\d{1,5})?|\{[a-z_]+\})" + END)]
    """`http://host:port`; or `{books}` for what `BOOKS_SERVICE_URL` says, which may be several."""
    weight: Annotated[int, Meta(ge=1, le=1000)] = 1


class Health(_Part, frozen=True, kw_only=True):
    """How each target is asked whether it is well."""

    path: Path = "/health/live"
    interval: Seconds = 2.0
    rise: Annotated[int, Meta(ge=1, le=100)] = 2
    """Good answers in a row that bring a target back."""
    fall: Annotated[int, Meta(ge=1, le=100)] = 2
    """Bad ones that take it out."""


class Eject(_Part, frozen=True, kw_only=True):
    """When a target is left out that fails its requests, whatever it says of its health."""

    consecutive: Count = 5
    base: Seconds = 5.0
    cap: Seconds = 60.0
    max_share: Share = 0.5


class Breaker(_Part, frozen=True, kw_only=True):
    """When a whole service is left alone."""

    min_calls: Annotated[int, Meta(ge=1, le=10_000)] = 20
    failure_rate: Annotated[float, Meta(gt=0, le=1)] = 0.5
    open_for: Seconds = 1.0


class Upstream(_Part, frozen=True, kw_only=True):
    """A service: one or more targets that do the same."""

    targets: Annotated[tuple[Target, ...], Meta(min_length=1)]
    pick: Literal["p2c", "round_robin", "ewma", "hash"] = "p2c"
    """`hash` keeps a caller with one target."""
    health: Health = Health()
    eject: Eject = Eject()
    breaker: Breaker = Breaker()
    slow_start: Annotated[float, Meta(ge=0, le=3600)] = 15.0
    """Seconds in which a target that comes later, or back, gets its full share."""
    max_in_flight: Annotated[int, Meta(ge=1, le=1000)] = 256
    """Requests at a time; the next one is answered 503. Fewer than a service's backlog of 1024."""
    hidden: tuple[Path, ...] = ()
    """Paths of the service that no route leads to."""


class Limit(_Part, frozen=True, kw_only=True):
    """How many requests in how many seconds, for each caller and each route's prefix."""

    quota: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    per: Seconds
    key: Literal["caller", "address"]

    @property
    def exact(self) -> bool:
        """Whether not one more is let through within any period: small quotas are counted one by one."""
        return self.quota <= EXACT_UP_TO


class Timeout(_Part, frozen=True, kw_only=True):
    """Seconds."""

    connect: Seconds = 0.5
    attempt: Seconds = 1.5
    """For one try, to the first byte of its answer."""
    total: Seconds = 2.0
    """For all tries."""
    idle: Seconds = 30.0
    """That a body may stand still, on either side."""


class Retry(_Part, frozen=True, kw_only=True):
    """When a request is sent again, to another target. What may have had an effect never is."""

    attempts: Annotated[int, Meta(ge=1, le=10)] = 2
    on: tuple[Reason, ...] = ("connect", "reset", "502", "503", "504")


class Route(_Part, frozen=True, kw_only=True):
    """Which requests go where, and under which rules. The longest prefix wins."""

    id: Name
    prefix: Path
    host: str = ""
    """Only for this host; any, if empty."""
    path: str = "keep"
    """What the service gets: `keep` the path, `strip` the prefix, or put `/something` in its place."""
    methods: tuple[Method, ...] = ()
    """All, if empty. GET brings HEAD along."""
    upstream: Name
    auth: Literal["none", "token", "key"] = "none"
    roles: tuple[Name, ...] = ()
    """One of these is needed."""
    limit: Name | None = None
    timeout: Timeout = Timeout()
    retry: Retry = Retry()
    max_body: Annotated[int, Meta(ge=0)] = 1_048_576
    """Bytes; 0 for no limit."""


class Key(_Part, frozen=True, kw_only=True):
    """A caller without a token, who sends `X-API-Key`."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}" + END)]
    """Of the key, so that the file holds no secret."""
    roles: tuple[Name, ...] = ()


class Cors(_Part, frozen=True, kw_only=True):
    """Pages of which other origins may ask."""

    origins: Annotated[tuple[Origin, ...], Meta(min_length=1)]
    headers: tuple[str, ...] = ("authorization", "content-type", "idempotency-key", "x-request-id")
    max_age: Annotated[int, Meta(ge=0, le=86_400)] = 600


class Config(_Part, frozen=True, kw_only=True):
    """The whole file."""

    trusted_proxies: tuple[str, ...] = ()
    """Networks whose `X-Forwarded-For` is believed."""
    jwks: Annotated[str, Meta(pattern=r"^(https?://[^\s/@]+|\{[a-z_]+\})/\S*" + END)] | None = None
    issuer: str = "bookstore"
    audience: str = "bookstore"
    upstreams: dict[Name, Upstream]
    limits: dict[Name, Limit] = {}
    keys: dict[Name, Key] = {}
    cors: Cors | None = None
    routes: tuple[Route, ...] = ()

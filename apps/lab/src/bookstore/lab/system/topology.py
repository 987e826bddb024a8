"""What the system is made of: one table, a row a service. To add a service, add its row.

Settings are written with the addresses of others in braces: `{books}` is the URL of the service books (of its
first instance), `{books_all}` are those of all with commas between them, `{books_replicas}` is how many there
are, `{redis}` and `{postgres}` are the stores' URLs, `{redis_place}` is one without its password,
`{books_db}` is the URL of a database for its owner, `{services}` is the secret that services show each other,
`{desk_secret}` is what the desk wants to see, `{jaeger}` is where traces are looked at (or nothing),
`{own_spans}` is `none` where the monitor has nobody but itself to send spans to, `{folder}` is an instance's
own folder for what it keeps in files, and `{state}` is the folder of the whole system. `{books:21050}` is
that URL with another port: a way round.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["store", "app", "tool"]

ACCOUNTS = "accounts"
ACCOUNTS_DATABASE = "accounts_db"
"""The service that knows people, and where it keeps them."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """A further port of a service's process, with a row of its own wherever services are shown.

    Attributes:
        name: what people call it.
        setting: how the process is told the port.
        port: the default port for the service's first instance.
        offset: the place of that port after `--port-base`.
    """

    name: str
    setting: str
    port: int
    offset: int


@dataclass(frozen=True, kw_only=True)
class Service:
    """A row: one service, of which there may be several instances.

    Attributes:
        name: what people call it.
        kind: a store keeps the data, an app does the work, a tool looks on: nothing depends on it.
        port: the default port of its first instance.
        offset: the place of that port after `--port-base`.
        run: how Python starts an app.
        settings: an app's own settings, beside the common ones (see `environment`).
        replicas: how many instances there are.
        doors: the further ports of each instance.
    """

    name: str
    kind: Kind = "app"
    port: int
    offset: int
    run: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType[str, str]({}))
    replicas: int = 1
    doors: tuple[Door, ...] = ()
    apart: bool = False
    """Whether it serves those who work on the system, and is no part of what is looked at: there is one."""

    def instances(self) -> list[str]:
        """The names of its processes."""
        return self.named(self.name)

    def named(self, name: str) -> list[str]:
        """What instances of it, or of a door of it, are called. A store or a tool is alone: no number."""
        return numbered(name, self.replicas) if self.kind == "app" else [name]


@dataclass(frozen=True)
class Way:
    """How a service gets to one that it needs, so that it can be led through a proxy.

    Attributes:
        name: what people call it.
        source: whose way it is.
        address: the name in braces that its settings are written with.
    """

    name: str
    source: str
    address: str

    @property
    def target(self) -> str:
        """Where it leads to, as people say it."""
        return self.name.partition("->")[2]


def numbered(name: str, count: int) -> list[str]:
    """The names of `count` instances."""
    return [f"{name}-{number}" for number in range(1, count + 1)]


@dataclass(frozen=True, kw_only=True)
class Topology:
    """All services.

    Attributes:
        services: a row each.
        databases: those that they own, each with its owner.
        tables: which package has the tables of a database. A new one gets them before its app comes, which
            would make them itself: one program for all is done sooner.
        members: those who work here from the start, by e-mail address, each with a role; accounts makes them.
        ways: those that lead through a proxy (see `ways`).
    """

    services: tuple[Service, ...]
    databases: Mapping[str, str]
    tables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType[str, str]({}))
    members: Mapping[str, str] = field(default_factory=lambda: MappingProxyType[str, str]({}))
    ways: tuple[Way, ...] = ()

    def with_settings(self, settings: Mapping[str, Mapping[str, str]]) -> Topology:
        """The same with further settings of some services."""
        services = (
            replace(service, settings={**service.settings, **settings.get(service.name, {})})
            for service in self.services
        )
        return replace(self, services=tuple(services))

    def without_instruments(self) -> Topology:
        """The same without those that stand apart, and without what others are told of them."""
        kept = tuple(service for service in self.services if not service.apart)
        gone = {f"{{{service.name}" for service in self.services if service.apart}
        services = (
            replace(
                service,
                settings={k: v for k, v in service.settings.items() if not any(name in v for name in gone)},
            )
            for service in kept
        )
        return replace(self, services=tuple(services))

    def with_replicas(self, counts: Mapping[str, int]) -> Topology:
        """The same with so many instances of each service that is named."""
        services = (
            replace(service, replicas=counts.get(service.name, service.replicas)) for service in self.services
        )
        return replace(self, services=tuple(services))

    def service(self, name: str) -> Service:
        """The row of that name."""
        return next(service for service in self.services if service.name == name)


WATCHED = (
    "gateway={gateway_all} gateway-admin={gateway-admin_all} books={books_all} orders={orders_all}"
    " accounts={accounts_all} supplier={supplier_all} supplier-control={supplier-control_all}"
    " orders-worker={orders-worker_all} playground={playground_all}"
    " postgres={postgres_place} redis={redis_place}"
)
"""Whom the monitor looks at."""

SYSTEM = Topology(
    services=(
        Service(name="postgres", kind="store", port=5432, offset=10),
        Service(name="redis", kind="store", port=6379, offset=11),
        Service(
            name="books",
            port=8001,
            offset=1,
            run=("-m", "bookstore.books"),
            settings={
                "DATABASE_URL": "{books_db}",
                "SEED_CATALOGUE": "true",
                "REDIS_URL": "{redis}",
                "ACCOUNTS_SERVICE_URL": "{accounts}",
                "SERVICE_SECRET": "{services}",
            },
        ),
        Service(
            name="orders",
            port=8082,
            offset=2,
            run=("-m", "bookstore.orders"),
            settings={
                "DATABASE_URL": "{orders_db}",
                "REDIS_URL": "{redis}",
                "BOOKS_SERVICE_URL": "{books}",
                "ACCOUNTS_SERVICE_URL": "{accounts}",
                "SERVICE_SECRET": "{services}",
            },
        ),
        Service(
            name="accounts",
            port=8003,
            offset=3,
            run=("-m", "bookstore.accounts"),
            settings={"DATABASE_URL": "{accounts_db}", "TRUSTED_PROXIES": "127.0.0.1", "KEY_LEAD": "30"},
        ),
        Service(
            name="supplier",
            port=5003,
            offset=4,
            run=("-m", "bookstore.supplier"),
            settings={"EFFECTS_FILE": "{folder}/effects.jsonl"},
            doors=(Door(name="supplier-control", setting="CONTROL_PORT", port=5013, offset=14),),
        ),
        Service(
            name="orders-worker",
            port=9100,
            offset=9,
            run=("-m", "bookstore.orders.queue"),
            settings={
                "DATABASE_URL": "{orders_db}",
                "REDIS_URL": "{redis}",
                "BOOKS_SERVICE_URL": "{books}",
                "SUPPLIER_SERVICE_URL": "{supplier}",
                "ACCOUNTS_SERVICE_URL": "{accounts}",
            },
        ),
        Service(
            name="gateway",
            port=8080,
            offset=0,
            run=("-m", "bookstore.gateway"),
            settings={
                "ACCOUNTS_SERVICE_URL": "{accounts_all}",
                "BOOKS_SERVICE_URL": "{books_all}",
                "MONITOR_SERVICE_URL": "{monitor_all}",
                "PLAYGROUND_SERVICE_URL": "{playground_all}",
                "ORDERS_SERVICE_URL": "{orders_all}",
                "REDIS_URL": "{redis}",
                "GATEWAY_REPLICAS": "{gateway_replicas}",
            },
            doors=(Door(name="gateway-admin", setting="ADMIN_PORT", port=9080, offset=15),),
        ),
        Service(
            name="monitor",
            port=5004,
            offset=5,
            run=("-m", "bookstore.monitor"),
            settings={
                "TARGETS": WATCHED,
                "PROBE_INTERVAL": "5",
                "OTEL_TRACES_EXPORTER": "{own_spans}",
                "ACCOUNTS_SERVICE_URL": "{accounts}",
                "SERVICE_SECRET": "{services}",
                # Nobody's work depends on what runs here.
                "FAULTS_ALLOWED": "true",
                "DESK_URL": "{desk}",
                "DESK_SECRET": "{desk_secret}",
                "JAEGER_URL": "{jaeger}",
            },
        ),
        Service(
            name="playground",
            port=8090,
            offset=6,
            run=("-m", "bookstore.playground"),
            settings={"SUPPLIER_SERVICE_URL": "{supplier}", "ACCOUNTS_SERVICE_URL": "{accounts}"},
        ),
        Service(
            name="desk",
            port=5014,
            offset=7,
            run=("-m", "bookstore.lab.desk"),
            settings={"BOOKSTORE_STATE": "{state}", "DESK_SECRET": "{desk_secret}"},
            apart=True,
        ),
    ),
    databases={"accounts_db": "accounts_user", "books_db": "books_user", "orders_db": "orders_user"},
    tables={
        "accounts_db": "bookstore.accounts",
        "books_db": "bookstore.books",
        "orders_db": "bookstore.orders",
    },
    members={"ops@bookstore.local": "ops", "staff@bookstore.local": "staff"},
)

INSTRUMENTS = frozenset(service.name for service in SYSTEM.services if service.apart)
"""Those that stand apart: they have no metrics, and nothing is done to them."""

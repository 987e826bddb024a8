"""What the system is made of: one table, a row a service. To add a service, add its row.

Settings are written with the addresses of others in braces: `{books}` is the URL of the service books,
`{redis}` and `{postgres}` are the stores' URLs, `{books_db}` is the URL of a database for its owner, and
`{services}` is the secret that services show each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["store", "app"]

ACCOUNTS = "accounts"
ACCOUNTS_DATABASE = "accounts_db"
"""The service that knows people, and where it keeps them."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A row: one service, of which there may be several instances.

    Attributes:
        name: what people call it.
        kind: a store keeps the data, an app does the work.
        port: the default port of its first instance.
        offset: the place of that port after `--port-base`.
        run: how Python starts an app.
        settings: an app's own settings, beside the common ones (see `environment`).
        replicas: how many instances there are.
    """

    name: str
    kind: Kind = "app"
    port: int
    offset: int
    run: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType[str, str]({}))
    replicas: int = 1

    def instances(self) -> list[str]:
        """The names of its processes. A store is alone, and so has no number."""
        if self.kind == "store":
            return [self.name]
        return [f"{self.name}-{number}" for number in range(1, self.replicas + 1)]


@dataclass(frozen=True, kw_only=True)
class Topology:
    """All services.

    Attributes:
        services: a row each.
        databases: those that they own, each with its owner.
        members: those who work here from the start, by e-mail address, each with a role; accounts makes them.
    """

    services: tuple[Service, ...]
    databases: Mapping[str, str]
    members: Mapping[str, str] = field(default_factory=lambda: MappingProxyType[str, str]({}))

    def service(self, name: str) -> Service:
        """The row of that name."""
        return next(service for service in self.services if service.name == name)


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
            name="gateway",
            port=8080,
            offset=0,
            run=("-m", "bookstore.gateway"),
            settings={
                "ACCOUNTS_SERVICE_URL": "{accounts}",
                "BOOKS_SERVICE_URL": "{books}",
                "ORDERS_SERVICE_URL": "{orders}",
            },
        ),
    ),
    databases={"accounts_db": "accounts_user", "books_db": "books_user", "orders_db": "orders_user"},
    members={"ops@bookstore.local": "ops", "staff@bookstore.local": "staff"},
)

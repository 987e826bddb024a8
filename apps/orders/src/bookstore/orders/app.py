"""The orders service put together."""

from importlib.metadata import version

from bookstore.orders import api
from bookstore.orders.catalogue import Catalogue
from bookstore.orders.settings import OrdersSettings
from bookstore.orders.store import OrderStore
from bookstore.service.app import Service
from bookstore.service.database import Database
from bookstore.service.health import Dependency
from bookstore.service.schema import Schema
from bookstore.service.tokens import RemoteKeys, access_with
from bookstore.service.upstream import Upstream


def create_app(settings: OrdersSettings) -> Service:
    """The orders service with these settings; nothing is opened yet."""
    keys = RemoteKeys(settings.accounts_service_url, at_start=settings.auth_required)
    database = Database(settings.database_url, size=settings.database_connections)
    schema = Schema(database, "bookstore.orders", settings.database_url)
    books = Upstream(
        settings.books_service_url, timeout=settings.books_timeout, idle_timeout=settings.books_timeout
    )
    catalogue = Catalogue(books, patience=settings.books_timeout)

    return Service(
        "orders",
        version("bookstore-orders"),
        settings,
        handlers=api.handlers,
        provide={"orders": OrderStore(database), "catalogue": catalogue},
        dependencies=[
            Dependency("database", schema.check),
            Dependency("books", catalogue.check, required=False),
        ],
        lifespan=[lambda: keys, lambda: database, lambda: books, schema.preparing],
        access=access_with(settings, keys),
    )

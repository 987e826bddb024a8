"""The books service put together."""

from importlib.metadata import version

from bookstore.books.catalogue import api as catalogue_api
from bookstore.books.catalogue import opening
from bookstore.books.catalogue.store import BookStore
from bookstore.books.settings import BooksSettings
from bookstore.service.app import Service
from bookstore.service.database import Database
from bookstore.service.health import Dependency
from bookstore.service.schema import Schema
from bookstore.service.tokens import RemoteKeys, access_with


def create_app(settings: BooksSettings) -> Service:
    """The books service with these settings; nothing is opened yet."""
    keys = RemoteKeys(settings.accounts_service_url, at_start=settings.auth_required)
    database = Database(settings.database_url, size=settings.database_connections)
    schema = Schema(database, "bookstore.books", settings.database_url)
    store = BookStore(database)

    async def fill() -> None:
        if settings.seed_catalogue:
            await store.seed(opening.books(), settings.default_stock, opening.FIRST_LISTED)

    return Service(
        "books",
        version("bookstore-books"),
        settings,
        handlers=catalogue_api.handlers,
        provide={"books": store, "settings": settings},
        dependencies=[Dependency("database", schema.check)],
        lifespan=[lambda: keys, lambda: database, lambda: schema.preparing(then=fill)],
        access=access_with(settings, keys),
    )

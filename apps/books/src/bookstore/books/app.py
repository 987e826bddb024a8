"""The books service put together."""

from importlib.metadata import version

from bookstore.books import api, catalogue
from bookstore.books.settings import BooksSettings
from bookstore.books.store import BookStore
from bookstore.service.app import Service
from bookstore.service.database import Database
from bookstore.service.health import Dependency
from bookstore.service.schema import Schema


def create_app(settings: BooksSettings) -> Service:
    """The books service with these settings; nothing is opened yet."""
    database = Database(settings.database_url, size=settings.database_connections)
    schema = Schema(database, "bookstore.books", settings.database_url)
    store = BookStore(database)

    async def fill() -> None:
        if settings.seed_catalogue:
            await store.seed(catalogue.books(), settings.default_stock, catalogue.FIRST_LISTED)

    return Service(
        "books",
        version("bookstore-books"),
        settings,
        handlers=api.handlers,
        provide={"books": store, "settings": settings},
        dependencies=[Dependency("database", schema.check)],
        lifespan=[lambda: database, lambda: schema.preparing(then=fill)],
    )

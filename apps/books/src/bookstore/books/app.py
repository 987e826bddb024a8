"""The books service put together."""

from importlib.metadata import version

from bookstore.books.cache import Cache, CacheAside, Uncached
from bookstore.books.cache.metrics import CacheMetrics
from bookstore.books.catalogue import api as catalogue_api
from bookstore.books.catalogue import opening, reads
from bookstore.books.catalogue.front import front_of
from bookstore.books.catalogue.reading import Reading
from bookstore.books.catalogue.store import BookStore
from bookstore.books.settings import BooksSettings
from bookstore.service.app import Lifespan, Service
from bookstore.service.database import Database
from bookstore.service.health import Dependency
from bookstore.service.schema import Schema
from bookstore.service.tokens import RemoteKeys, access_with


def create_app(settings: BooksSettings) -> Service:
    """The books service with these settings; nothing is opened yet."""
    keys = RemoteKeys(settings.accounts_service_url)
    database = Database(settings.database_url, size=settings.database_connections)
    schema = Schema(database, "bookstore.books", settings.database_url)
    store = BookStore(database)
    cache: Cache = Uncached()
    dependencies = [Dependency("database", schema.check)]
    lifespan: list[Lifespan] = [lambda: keys, lambda: database, lambda: schema.preparing(then=fill)]
    if settings.redis_url:
        cache = aside = CacheAside(settings.redis_url, database, ttl=settings.cache_ttl)
        dependencies.append(Dependency("redis", aside.line.check, required=False))
        lifespan.append(aside.line.kept)

    async def fill() -> None:
        if settings.seed_catalogue:
            async with cache.changing([]):
                await store.seed(opening.books(), settings.default_stock, opening.FIRST_LISTED)

    service = Service(
        "books",
        version("bookstore-books"),
        settings,
        handlers=[*catalogue_api.handlers, *reads.handlers],
        provide={
            "books": store,
            "settings": settings,
            "cache": cache,
            "reading": Reading(store, cache),
        },
        dependencies=dependencies,
        lifespan=lifespan,
        access=access_with(settings, keys),
        front=front_of(cache) if settings.redis_url else None,
    )
    service.metrics.registry.register(CacheMetrics(cache.tally))
    return service

"""The books service put together."""

from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry

from bookstore.books.cache import Cache, CacheAside, Uncached
from bookstore.books.cache.metrics import CacheMetrics
from bookstore.books.catalogue import api as catalogue_api
from bookstore.books.catalogue import opening
from bookstore.books.catalogue.front import front_of
from bookstore.books.catalogue.reading import Reading
from bookstore.books.catalogue.store import BookStore
from bookstore.books.circuit import api as circuit_api
from bookstore.books.circuit.trial import Trial
from bookstore.books.covers import api as covers_api
from bookstore.books.covers.blobs import Blobs, Folder
from bookstore.books.covers.gallery import Gallery
from bookstore.books.covers.s3 import Bucket
from bookstore.books.covers.signature import Keys
from bookstore.books.covers.store import CoverStore
from bookstore.books.settings import BooksSettings
from bookstore.books.stock import api as stock_api
from bookstore.books.stock.store import StockStore
from bookstore.resilience.collector import DependencyMetrics
from bookstore.service.app import Service
from bookstore.service.database import Database
from bookstore.service.health import Dependency
from bookstore.service.schema import Schema
from bookstore.service.tokens import RemoteKeys, access_with


def create_app(settings: BooksSettings) -> Service:
    """The books service with these settings; nothing is opened yet."""
    keys = RemoteKeys(settings.accounts_service_url, at_start=settings.auth_required)
    database = Database(
        settings.database_url, direct_url=settings.database_direct_url, size=settings.database_connections
    )
    schema = Schema(database, "bookstore.books")
    store = BookStore(database)
    cache = _cache(settings, database)
    numbers = CollectorRegistry()
    calls = DependencyMetrics(numbers, prefix="bookstore")
    trial = Trial(sinks=[calls])
    calls.watch(trial.circuit.name, trial.circuit)
    blobs = _blobs(settings)

    async def fill() -> None:
        if settings.seed_catalogue:
            async with cache.changing([]):
                await store.seed(opening.books(), settings.default_stock, opening.FIRST_LISTED)

    service = Service(
        "books",
        version("bookstore-books"),
        settings,
        handlers=[
            *catalogue_api.handlers,
            *stock_api.handlers,
            *circuit_api.handlers,
            *covers_api.handlers,
        ],
        provide={
            "books": store,
            "stock": StockStore(database),
            "settings": settings,
            "cache": cache,
            "reading": Reading(store, cache),
            "changed": cache.changed,
            "trial": trial,
            "gallery": Gallery(CoverStore(database), blobs),
        },
        dependencies=[Dependency("database", schema.check), *cache.dependencies()],
        lifespan=[
            lambda: keys,
            lambda: database,
            lambda: schema.preparing(then=fill),
            cache.running,
            trial.running,
            blobs.running,
        ],
        access=access_with(settings, keys),
        front=front_of(cache),
        circuits=lambda: calls.breakers,
        own_server=True,
        shortcuts=stock_api.shortcuts,
    )
    service.metrics.registry.register(numbers)
    service.metrics.registry.register(CacheMetrics(cache.tally))
    return service


def _cache(settings: BooksSettings, database: Database) -> Cache:
    if not settings.redis_url:
        return Uncached()
    return CacheAside(settings.redis_url, database, ttl=settings.cache_ttl)


def _blobs(settings: BooksSettings) -> Blobs:
    if not settings.covers_s3_url:
        return Folder(Path(settings.covers_folder))
    keys = Keys(settings.covers_s3_key_id, settings.covers_s3_secret, settings.covers_s3_region)
    return Bucket(settings.covers_s3_url, settings.covers_s3_bucket, keys)

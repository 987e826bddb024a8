"""Cache-aside on Redis, for all replicas: what a write has changed is never answered once it is acknowledged.

`shelf` keeps entries in Redis, `trust` has PostgreSQL say whether they may be used, `aside` puts both
together. The whole argument is told in `docs/decisions`, in the decision on the cache.
"""

from bookstore.books.cache.aside import CacheAside
from bookstore.books.cache.cache import Cache, Uncached
from bookstore.books.cache.entry import Entry, Place, book_place, page_place

__all__ = ["Cache", "CacheAside", "Entry", "Place", "Uncached", "book_place", "page_place"]

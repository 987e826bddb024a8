"""What the orders service can be told."""

from typing import Annotated

from msgspec import Meta

from bookstore.service.settings import HttpUrl, Port, PostgresUrl
from bookstore.service.tokens import TokenSettings


class OrdersSettings(TokenSettings, frozen=True, kw_only=True):
    """Settings of the orders service."""

    port: Port = 8082
    database_url: PostgresUrl
    """Its own database."""
    database_connections: Annotated[int, Meta(ge=1, le=100)] = 8
    books_service_url: HttpUrl
    """Where the books service answers."""
    books_timeout: Annotated[float, Meta(gt=0, le=30)] = 1.0
    """Seconds that books has to tell of all books of an order; an order is answered within two in all."""

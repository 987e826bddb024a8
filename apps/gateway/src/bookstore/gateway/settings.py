"""What the gateway can be told."""

from typing import Annotated

from msgspec import Meta

from bookstore.service.settings import HttpUrl, Port, Settings

Timeout = Annotated[float, Meta(gt=0, le=300)]


class GatewaySettings(Settings, frozen=True, kw_only=True):
    """Settings of the gateway."""

    port: Port = 8080
    accounts_service_url: HttpUrl = "http://127.0.0.1:8003"
    """Where the accounts service answers."""
    books_service_url: HttpUrl = "http://127.0.0.1:8001"
    """Where the books service answers."""
    orders_service_url: HttpUrl = "http://127.0.0.1:8082"
    """Where the orders service answers."""
    connect_timeout: Timeout = 0.5
    """Seconds for opening a connection to a service."""
    answer_timeout: Timeout = 2.5
    """Seconds to the first byte of an answer: more than the 2 s in which a service says no itself."""
    idle_timeout: Timeout = 30.0
    """Seconds that a body may stand still, on either side."""
    upstream_connections: Annotated[int, Meta(ge=1, le=1000)] = 256
    """Connections to each service, fewer than its backlog of 1024; further requests wait for a free one."""

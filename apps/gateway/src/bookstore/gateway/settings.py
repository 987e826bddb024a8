"""What the gateway can be told, beside its file."""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, TypeAlias

from msgspec import Meta

from bookstore.service.settings import Port, RedisUrlOrNone, Settings, SettingsError

HttpUrls: TypeAlias = Annotated[
    str, Meta(pattern=r"^(https?://[^\s/:@,]+(:\d{1,5})?(,https?://[^\s/:@,]+(:\d{1,5})?)*)?$")
]
"""One address, several with commas between them, or none."""


class GatewaySettings(Settings, frozen=True, kw_only=True):
    """Settings of the gateway."""

    port: Port = 8080
    admin_port: Port = 9080
    """Where operators look and change things: on this machine only."""
    gateway_config: str = ""
    """The file with routes, services and limits; empty for the one that comes along."""
    gateway_replicas: Annotated[int, Meta(ge=1, le=1000)] = 1
    """How many gateways there are: while Redis is away each lets its share through."""
    trusted_proxies: str = ""
    """Networks, with commas, whose `X-Forwarded-For` is believed, beside those of the file."""
    redis_url: RedisUrlOrNone = ""
    """The Redis on which all gateways count together; empty to count in this process."""
    accounts_service_url: HttpUrls = "http://127.0.0.1:8003"
    """Who stands behind {accounts} in the file: one address, or several with commas between them."""
    books_service_url: HttpUrls = "http://127.0.0.1:8001"
    """The same for {books}."""
    monitor_service_url: HttpUrls = ""
    """The same for {monitor}; empty: it is no part of this system, nor are its routes."""
    orders_service_url: HttpUrls = "http://127.0.0.1:8082"
    """The same for {orders}."""
    playground_service_url: HttpUrls = ""
    """The same for {playground}; empty: it is no part of this system."""

    def __post_init__(self) -> None:
        """See that the networks are some.

        Raises:
            SettingsError: if one isn't.
        """
        try:
            for network in self.networks:
                ip_network(network)
        except ValueError as error:
            raise SettingsError([f"TRUSTED_PROXIES: {error}"]) from None

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks of proxies that are believed, beside those of the file."""
        return tuple(network for network in map(str.strip, self.trusted_proxies.split(",")) if network)

    @property
    def urls(self) -> Mapping[str, tuple[str, ...]]:
        """The addresses that stand behind the names in braces."""
        given = {
            "accounts": self.accounts_service_url,
            "books": self.books_service_url,
            "monitor": self.monitor_service_url,
            "orders": self.orders_service_url,
            "playground": self.playground_service_url,
        }
        return {name: tuple(url for url in urls.split(",") if url) for name, urls in given.items()}

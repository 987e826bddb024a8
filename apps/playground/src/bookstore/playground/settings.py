"""What the playground can be told."""

from bookstore.service.settings import HttpUrl, Port
from bookstore.service.tokens import TokenSettings


class PlaygroundSettings(TokenSettings, frozen=True, kw_only=True):
    """Settings of the playground."""

    port: Port = 8090
    supplier_service_url: HttpUrl = "http://127.0.0.1:5003"
    """Whom it calls: somebody with `/get`, `/delay/{seconds}` and `/status/{code}`."""

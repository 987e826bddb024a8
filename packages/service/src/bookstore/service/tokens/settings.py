"""What a service is told that verifies tokens of accounts."""

from typing import Annotated

from msgspec import Meta

from bookstore.service.settings import HttpUrl, Settings
from bookstore.service.tokens.access import Access
from bookstore.service.tokens.remote import RemoteKeys
from bookstore.service.tokens.verify import AUDIENCE, ISSUER, Verifier


class TokenSettings(Settings, frozen=True, kw_only=True):
    """Settings of a service that asks who its callers are."""

    auth_required: bool = False
    """Whether a request without a token is refused; else it gets the operator's view."""
    accounts_service_url: HttpUrl = "http://127.0.0.1:8003"
    """Where the accounts service publishes its keys."""
    token_issuer: Annotated[str, Meta(min_length=1, max_length=200)] = ISSUER
    """Whose tokens are taken."""
    token_audience: Annotated[str, Meta(min_length=1, max_length=200)] = AUDIENCE
    """For whom a token must be made."""
    service_secret: Annotated[str, Meta(pattern=r"^([!-~]{32,200})?\Z")] = ""
    """What services show each other: the same for all, 32 characters or more; empty for none."""


def access_with(settings: TokenSettings, keys: RemoteKeys) -> Access:
    """Who asks, told by tokens that these keys verify."""
    verifier = Verifier(keys, issuer=settings.token_issuer, audience=settings.token_audience)
    return Access(verifier, required=settings.auth_required, service_secret=settings.service_secret)


def service_headers(settings: TokenSettings) -> list[tuple[bytes, bytes]]:
    """What a call to another service carries that is made as a service; nothing without a secret."""
    if not settings.service_secret:
        return []
    return [(b"authorization", b"Service " + settings.service_secret.encode())]

"""Who asks: bearer tokens, verified by each service itself with the keys that accounts publishes.

    keys = RemoteKeys("http://127.0.0.1:8003")            # in the service's lifespan
    access = Access(Verifier(keys), required=settings.auth_required)
    ...
    caller = await access.caller(request.scope["headers"])  # 401 for a bad token
    caller.require("staff", "ops")                          # 403 for a good one of somebody else

A service that calls another one on its own behalf sends `service_headers(settings)`: it is `SERVICE` there.

A token names its key and its algorithm; only the name of the key is believed. The key alone decides which
algorithm it is used with, and it is one of those that were published, never one that came with the token.
"""

from bookstore.service.tokens.access import OPERATOR, SERVICE, Access, Caller
from bookstore.service.tokens.key import Key, read_keys
from bookstore.service.tokens.remote import RemoteKeys
from bookstore.service.tokens.settings import TokenSettings, access_with, service_headers
from bookstore.service.tokens.verify import AUDIENCE, ISSUER, KeySource, TokenRefused, Verifier

__all__ = [
    "AUDIENCE",
    "ISSUER",
    "OPERATOR",
    "SERVICE",
    "Access",
    "Caller",
    "Key",
    "KeySource",
    "RemoteKeys",
    "TokenRefused",
    "TokenSettings",
    "Verifier",
    "access_with",
    "read_keys",
    "service_headers",
]

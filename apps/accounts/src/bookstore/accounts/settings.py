"""What the accounts service can be told."""

from typing import Annotated, Literal

from msgspec import Meta

from bookstore.service.settings import DirectUrl, Port, PostgresUrl, Settings
from bookstore.service.tokens import AUDIENCE, ISSUER

_NETWORK = r"([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)(/[0-9]{1,3})?"


class AccountsSettings(Settings, frozen=True, kw_only=True):
    """Settings of the accounts service."""

    port: Port = 8003
    database_url: Annotated[
        PostgresUrl, Meta(examples=["postgresql://accounts_user:password@localhost:5432/accounts_db"])
    ]
    """Its own database."""
    database_direct_url: DirectUrl = ""
    """Its address past the pooler, if `DATABASE_URL` leads to a pooler in transaction mode."""
    database_connections: Annotated[int, Meta(ge=1, le=100)] = 8
    """The most connections to keep."""
    auth_required: bool = False
    """Whether /v1/customers needs a token; without one it gives the operator's view."""
    accounts_key_secret: Annotated[str, Meta(pattern=r"^(.{32,})?$")] = ""
    """Encrypts private keys in the database: at least 32 characters, or empty for none."""
    token_issuer: Annotated[str, Meta(min_length=1, max_length=200)] = ISSUER
    """`iss` of tokens; those who verify them must expect the same."""
    token_audience: Annotated[str, Meta(min_length=1, max_length=200)] = AUDIENCE
    """`aud` of tokens; likewise."""
    access_token_life: Annotated[int, Meta(ge=1, le=3600)] = 600
    """Seconds; a token can't be called back before."""
    session_life: Annotated[int, Meta(ge=1, le=31_536_000)] = 2_592_000
    """Seconds from a login for which it can be refreshed."""
    refresh_grace: Annotated[float, Meta(ge=0, le=60)] = 0.0
    """Seconds after a refresh in which its old token, sent again, doesn't end the session."""
    signing_algorithm: Literal["EdDSA", "ES256", "RS256"] = "EdDSA"
    """Of keys that are made from now on."""
    key_lead: Annotated[int, Meta(ge=0, le=86_400)] = 600
    """Seconds for which a new key is published before it signs: twice what verifiers take to look again."""
    argon2_memory: Annotated[int, Meta(ge=8, le=1_048_576)] = 19_456
    """KiB for one password."""
    argon2_passes: Annotated[int, Meta(ge=1, le=64)] = 2
    """How often argon2 goes over that memory."""
    hash_threads: Annotated[int, Meta(ge=1, le=32)] = 2
    """Passwords hashed at once; each keeps a core busy."""
    trusted_proxies: Annotated[str, Meta(pattern=rf"^({_NETWORK}(\s*,\s*{_NETWORK})*)?$")] = ""
    """Networks, with commas, whose `X-Forwarded-For` tells the client's address."""

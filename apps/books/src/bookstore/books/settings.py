"""What the books service can be told."""

from typing import Annotated

from msgspec import Meta

from bookstore.service.settings import DirectUrl, Port, PostgresUrl, RedisUrlOrNone, SettingsError
from bookstore.service.tokens import TokenSettings


class BooksSettings(TokenSettings, frozen=True, kw_only=True):
    """Settings of the books service."""

    port: Port = 8001
    database_url: Annotated[
        PostgresUrl, Meta(examples=["postgresql://books_user:password@localhost:5432/books_db"])
    ]
    """Its own database; `BOOKS_DB_DSN` is taken as well."""
    database_direct_url: DirectUrl = ""
    """Its address past the pooler, if `DATABASE_URL` leads to a pooler in transaction mode."""
    database_connections: Annotated[int, Meta(ge=1, le=100)] = 8
    """The most connections to keep."""
    redis_url: RedisUrlOrNone = ""
    """Where answers are kept for all replicas; without it nothing is."""
    cache_ttl: Annotated[int, Meta(ge=1, le=86_400)] = 60
    """Seconds for which an answer is kept at most."""
    seed_catalogue: bool = False
    """Whether an empty catalogue is filled with some 200 books."""
    default_stock: Annotated[int, Meta(ge=0)] = 100
    """Copies on hand of a new book whose request doesn't say."""
    covers_folder: Annotated[str, Meta(min_length=1)] = "covers"
    """Where covers are kept, unless an S3 service is named."""
    covers_s3_url: Annotated[str, Meta(pattern=r"^(https?://[^\s/:@]+(:\d{1,5})?)?$")] = ""
    """An S3 service to keep covers instead; then all of the following are needed."""
    covers_s3_bucket: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$")] = ""
    """Its bucket, which must be there."""
    covers_s3_region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}$")] = "us-east-1"
    """The region that requests are signed for."""
    covers_s3_key_id: Annotated[str, Meta(pattern=r"^[!-~]{0,200}$")] = ""
    """Who signs."""
    covers_s3_secret: Annotated[str, Meta(pattern=r"^[!-~]{0,200}$")] = ""
    """With what."""

    def __post_init__(self) -> None:
        """See that an S3 service is named with all that it takes.

        Raises:
            SettingsError: if something is missing.
        """
        needed = ("covers_s3_bucket", "covers_s3_key_id", "covers_s3_secret")
        missing = [name.upper() for name in needed if self.covers_s3_url and not getattr(self, name)]
        if missing:
            raise SettingsError([f"{name}: required with COVERS_S3_URL, but not set" for name in missing])


ALIASES = {"BOOKS_DB_DSN": "DATABASE_URL"}

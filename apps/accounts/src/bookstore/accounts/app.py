"""The accounts service put together."""

from importlib.metadata import version

from bookstore.accounts.keys import api as keys_api
from bookstore.accounts.keys.model import Safe
from bookstore.accounts.keys.ring import Ring
from bookstore.accounts.keys.store import KeyStore
from bookstore.accounts.people import api as people_api
from bookstore.accounts.people.passwords import Passwords
from bookstore.accounts.people.store import PeopleStore
from bookstore.accounts.sessions import api as sessions_api
from bookstore.accounts.sessions.desk import Desk
from bookstore.accounts.sessions.model import networks
from bookstore.accounts.sessions.store import SessionStore
from bookstore.accounts.settings import AccountsSettings
from bookstore.service.app import Service
from bookstore.service.database import Database
from bookstore.service.health import Dependency
from bookstore.service.schema import Schema
from bookstore.service.tokens import Access, Verifier


def create_app(settings: AccountsSettings) -> Service:
    """The accounts service with these settings; nothing is opened yet."""
    database = Database(
        settings.database_url, direct_url=settings.database_direct_url, size=settings.database_connections
    )
    schema = Schema(database, "bookstore.accounts")
    people = PeopleStore(database)
    passwords = Passwords(
        memory=settings.argon2_memory, passes=settings.argon2_passes, threads=settings.hash_threads
    )
    ring = Ring(KeyStore(database), Safe(settings.accounts_key_secret), settings.signing_algorithm)
    sessions = SessionStore(database, life=settings.session_life, grace=settings.refresh_grace)
    desk = Desk(people, sessions, passwords, ring, settings)
    verifier = Verifier(ring, issuer=settings.token_issuer, audience=settings.token_audience)

    return Service(
        "accounts",
        version("bookstore-accounts"),
        settings,
        handlers=[*sessions_api.handlers, *people_api.handlers, *keys_api.handlers],
        provide={
            "people": people,
            "passwords": passwords,
            "ring": ring,
            "desk": desk,
            "proxies": networks(settings.trusted_proxies),
        },
        dependencies=[Dependency("database", schema.check), Dependency("keys", ring.check)],
        lifespan=[
            lambda: database,
            lambda: passwords,
            lambda: schema.preparing(then=ring.ensure),
            desk.sweeping,
        ],
        access=Access(verifier, required=settings.auth_required),
    )

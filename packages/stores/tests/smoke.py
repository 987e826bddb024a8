"""What the wheel must do by itself: both stores start, answer, and are gone."""

import tempfile
from pathlib import Path

from bookstore.stores.account import unprivileged
from bookstore.stores.guardian import Guardian
from bookstore.stores.ports import any_free
from bookstore.stores.postgres import Postgres
from bookstore.stores.redis import Redis
from bookstore.stores.server import Server

if __name__ == "__main__":
    folder, guardian = Path(tempfile.mkdtemp(prefix="bookstore-smoke-")), Guardian()
    guardian.watch_folder(folder)
    for kind in (Postgres, Redis):
        store = kind(
            folder=folder / kind.__name__,
            port=any_free(),
            password="smoke",
            account=unprivileged(),
            durable=False,
        )
        with Server(store, guardian):
            assert store.answers()
    guardian.close()

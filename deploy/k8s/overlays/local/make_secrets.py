"""Makes the secrets of a local cluster, once: `python3 deploy/k8s/overlays/local/make_secrets.py`.

They go into the folder `secrets` beside this file, which git leaves alone. What is there already stays:
PostgreSQL keeps the passwords of its first start.
"""
# ruff: noqa: INP001 - a script

import sys
from pathlib import Path
from secrets import token_urlsafe

FOLDER = Path(__file__).parent / "secrets"
OWNERS = ("accounts", "books", "orders")


def files() -> dict[str, str]:
    """What stands in each file."""
    redis = token_urlsafe(24)
    passwords = {name: token_urlsafe(24) for name in OWNERS}
    database = {
        name: f"DATABASE_URL=postgresql://{name}_user:{password}@postgres:5432/{name}_db\n"
        for name, password in passwords.items()
    }
    cache = f"REDIS_URL=redis://:{redis}@redis:6379/0\n"
    owners = "".join(f"{name.upper()}_PASSWORD={password}\n" for name, password in passwords.items())
    return {
        "accounts.env": database["accounts"] + f"ACCOUNTS_KEY_SECRET={token_urlsafe(32)}\n",
        "books.env": database["books"] + cache,
        "gateway.env": cache,
        "orders.env": database["orders"] + cache,
        "postgres.env": f"POSTGRES_PASSWORD={token_urlsafe(24)}\n{owners}",
        "redis.conf": (
            # The stream of due work mustn't be evicted; what is cached ends by itself, and may be.
            f"requirepass {redis}\ndir /data\nappendonly yes\n"
            "maxmemory 256mb\nmaxmemory-policy volatile-lru\n"
        ),
        "services.env": f"SERVICE_SECRET={token_urlsafe(32)}\n",
    }


def main() -> None:
    """Write what isn't there yet, all or nothing."""
    if FOLDER.exists():
        sys.exit(f"{FOLDER} is there already: remove it, and the cluster's volumes, to begin anew")
    FOLDER.mkdir(mode=0o700)
    for name, text in files().items():
        path = FOLDER / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"written to {FOLDER}\n")


if __name__ == "__main__":
    main()

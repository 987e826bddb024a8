"""Each service does as its own /openapi.json says: it is asked with generated requests, the same each time.

Usage: contract.py FOLDER [SERVICE ...]; the state and the notes of the tool go to FOLDER.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

SERVICES = ("accounts", "books")
CONFIGURATION = """
[auth]
auto-signup = false  # it adds fields of its own to a login
[generation]
deterministic = true
database = "none"
max-examples = 20
[checks.positive_data_acceptance]
enabled = false  # 5.0 is an integer to JSON Schema, and to nobody who orders books
[[operations]]
include-path = "/inventory/test-circuit-breaker"
checks.not_a_server_error.enabled = false  # it is there to answer 503
[[operations]]
include-path = "/v2/books/{book_id}/cover"
checks.ensure_resource_availability.enabled = false  # a new book has none yet
"""


def main(folder: Path, services: tuple[str, ...]) -> int:
    """Start everything, ask each of the services, and end everything; 1 if one has said what isn't so."""
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    programs = Path(sys.executable).parent
    environment = {**os.environ, "BOOKSTORE_STATE": str(folder / "state"), "NO_PROXY": "*"}

    def bookstore(*words: str) -> str:
        result = subprocess.run(  # noqa: S603 - our own program
            [programs / "bookstore", *words], env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return result.stdout

    bookstore("up", "--detach")
    try:
        urls = {row["name"]: row["url"] for row in json.loads(bookstore("status", "--json"))["services"]}
        codes = [
            subprocess.run(  # noqa: S603 - a program that we depend on
                [programs / "schemathesis", "run", f"{urls[service]}/openapi.json", "--no-color"],
                cwd=folder,
                env=environment,
                check=False,
            ).returncode
            for service in services
        ]
    finally:
        bookstore("down")
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), tuple(sys.argv[2:]) or SERVICES))

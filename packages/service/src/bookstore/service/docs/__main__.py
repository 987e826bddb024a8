"""`python -m bookstore.service.docs apps/books ...`: write the document of each app into its folder."""

import sys
from pathlib import Path

from bookstore.service.docs.committed import write


def main() -> None:
    """Write the documents, and say which."""
    for folder in sys.argv[1:]:
        sys.stdout.write(f"{write(Path(folder))}\n")


if __name__ == "__main__":
    main()

"""`python -m bookstore.lab.observe FOLDER` writes everything in `otel/`."""

from __future__ import annotations

import sys
from pathlib import Path

from bookstore.lab.observe.files import write

if __name__ == "__main__":
    write(Path(*sys.argv[1:]))

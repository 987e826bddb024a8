"""The documentation: `python -m docs.site fill`, `python -m docs.site build [FOLDER]`.

`fill` takes anew what pages show of the code. `build` makes the site, and needs the dependency group `docs`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from docs.site import calls, fill, stage

ROOT = Path(__file__).parent.parent.parent
USAGE = 2


def main(words: list[str]) -> int:
    """Do what the command line says."""
    match words:
        case ["fill"]:
            made = fill.pages(ROOT) | calls.files(ROOT)
            shutil.rmtree(ROOT / "docs" / "requests", ignore_errors=True)
            for path, text in made.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return 0
        case ["build", *folder] if len(folder) <= 1:
            return stage.build(ROOT, Path(folder[0] if folder else ROOT / "dist" / "site"))
        case _:
            print(__doc__, file=sys.stderr)
            return USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Each wheel in a folder's `dist` is complete, and works alone in a bare environment."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
CHECK = """
import importlib, sys
from importlib.metadata import version
module, distribution = sys.argv[1:]
importlib.import_module(module)
print(distribution, version(distribution))
"""


def run(*command: str | Path) -> str:
    """Run a command; its errors are shown as they come."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()  # noqa: S603


def complete(wheel: Path, member: Path) -> None:
    """Every file that stands in the member's `src` is in its wheel: migrations, pages, data."""
    tracked = run("git", "-C", member / "src", "ls-files").splitlines()
    missing = {*tracked} - {*zipfile.ZipFile(wheel).namelist()}
    if not tracked or missing:
        sys.exit(f"{wheel.name} lacks {sorted(missing)}")


def main(folder: Path) -> None:
    """Look at every member's wheel."""
    dist = folder / "dist"
    for pyproject in sorted(ROOT.glob("*/*/pyproject.toml")):
        member = pyproject.parent
        distribution = f"bookstore-{member.name}"
        (wheel,) = dist.glob(f"bookstore_{member.name}-*.whl")
        complete(wheel, member)
        environment = folder / "alone" / member.name
        python = environment / "bin" / "python"
        run("uv", "venv", "--quiet", "--no-project", environment)
        run("uv", "pip", "install", "--quiet", "--python", python, "--find-links", dist, wheel)
        said = run(python, "-I", "-c", CHECK, f"bookstore.{member.name}", distribution)
        version = wheel.name.split("-")[1]
        if said != f"{distribution} {version}":
            sys.exit(f"{wheel.name} calls itself {said}")
        print(said)  # noqa: T201


main(Path(sys.argv[1]))

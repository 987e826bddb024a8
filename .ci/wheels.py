"""Every wheel is complete, and works alone in a bare environment, on each Python that we promise.

Usage: wheels.py FOLDER; the wheels are in its `dist`. UV_PYTHON names one Python; else it is each of those
promised that is on this machine.
"""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROMISED = ("3.11", "3.12", "3.13")
CHECK = """
import importlib, pkgutil, sys
from importlib.metadata import entry_points, version
name, distribution = sys.argv[1:]
package = importlib.import_module(name)
for module in pkgutil.walk_packages(package.__path__, f"{name}."):
    if not module.name.endswith("__main__") and ".migrations" not in module.name:
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            print("lacks", module.name, error.name)
for entry in entry_points(group="console_scripts"):
    if entry.dist.name == distribution:
        entry.load()
print("is", distribution, version(distribution))
"""


def run(*command: str | Path) -> str:
    """Run a command; its errors are shown as they come."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()  # noqa: S603


def project(member: Path) -> dict:
    """What a member's manifest says of it."""
    return tomllib.loads((member / "pyproject.toml").read_text())["project"]


def complaints(wheel: Path, member: Path) -> list[str]:
    """What is wrong with a wheel: whatever stands in the member's `src` has to be in it, and nothing else.

    Migrations, pages, data: what is there is not told here a second time, so none of it can be forgotten.
    """
    tracked = {
        *run(
            "git", "-C", member / "src", "ls-files", "--cached", "--others", "--exclude-standard"
        ).splitlines()
    }
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if not name.endswith("/")}
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        told = Parser().parsestr(packed.read(metadata).decode())
    info = metadata.removesuffix("METADATA")
    packaged = {name for name in names if not name.startswith(info)}
    found = [f"lacks {name}" for name in sorted(tracked - packaged)]
    found += [f"has {name}, which isn't ours" for name in sorted(packaged - tracked)]
    if not tracked:
        found.append("has nothing to be compared with")
    if not told["License-Expression"] or f"{info}licenses/LICENSE" not in names:
        found.append("comes without a licence")
    kinds = {line.partition(",")[0] for line in told.get_all("Project-URL", [])}
    found += [
        f"doesn't say where its {kind} is" for kind in sorted({"Source", "Changelog", "Issues"} - kinds)
    ]
    return [f"{wheel.name} {each}" for each in found]


def excused(member: Path) -> re.Pattern[str]:
    """What a bare environment may lack, as `module distribution`: extras, and what only tests use."""
    extras = [line for lines in project(member).get("optional-dependencies", {}).values() for line in lines]
    names = [re.match(r"[\w-]+", line)[0].replace("-", "_") for line in extras]
    roots = sorted({name.split("_")[0] for name in names})
    own = rf"bookstore\.{member.name}"
    return re.compile(rf"\S+ ({'|'.join(['pytest', *roots])})([._].*)?|{own}\.testing\.\S+ .*")


def alone(wheel: Path, member: Path, python: str, folder: Path) -> list[str]:
    """What is wrong with a wheel in an environment of its own: all of it is imported, its smoke test run."""
    distribution = f"bookstore-{member.name}"
    environment = folder / "alone" / f"{python}-{member.name}"
    interpreter = environment / "bin" / "python"
    run("uv", "venv", "--quiet", "--no-project", "--python", python, environment)
    run("uv", "pip", "install", "--quiet", "--python", interpreter, "--find-links", wheel.parent, wheel)
    said = run(interpreter, "-I", "-c", CHECK, f"bookstore.{member.name}", distribution).splitlines()
    excuse = excused(member)
    found = [
        f"{wheel.name} {each}" for each in said[:-1] if not excuse.fullmatch(each.removeprefix("lacks "))
    ]
    if said[-1] != f"is {distribution} {wheel.name.split('-')[1]}":
        found.append(f"{wheel.name} {said[-1]}")
    smoke = member / "tests" / "smoke.py"
    if subprocess.run([interpreter, "-I", smoke], check=False, cwd=folder).returncode:  # noqa: S603
        found.append(f"{wheel.name} fails its smoke test on Python {python}")
    return found


def pythons() -> list[str]:
    """On which Pythons to try."""
    if "UV_PYTHON" in os.environ:
        return [os.environ["UV_PYTHON"]]
    here = [each for each in PROMISED if _is_here(each)]
    for each in {*PROMISED} - {*here}:
        print(f"Python {each} isn't here: not tried")  # noqa: T201
    return here


def _is_here(python: str) -> bool:
    command = ["uv", "python", "find", "--no-project", python]
    return not subprocess.run(command, check=False, capture_output=True).returncode  # noqa: S603


def main(folder: Path) -> int:
    """Look at every member's wheel; 1 if anything is wrong with one."""
    dist = folder / "dist"
    folder.chmod(0o755)  # the stores' programs run as somebody who isn't root
    found: list[str] = []
    tries = pythons()
    for pyproject in sorted(ROOT.glob("*/*/pyproject.toml")):
        member = pyproject.parent
        (wheel,) = dist.glob(f"bookstore_{member.name}-*.whl")
        found += complaints(wheel, member)
        for python in tries:
            found += alone(wheel, member, python, folder)
        print(f"{wheel.name}: {', '.join(tries)}", flush=True)  # noqa: T201
    print("\n".join(found))  # noqa: T201
    return int(bool(found or not tries))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

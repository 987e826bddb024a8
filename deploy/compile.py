"""Compile the gateway: the modules that a plain request passes become machine code.

    uv run python deploy/compile.py FOLDER
    PYTHONPATH=FOLDER uv run python -m bookstore.gateway

Needs a C compiler, and takes two minutes. FOLDER then holds the gateway and the two packages below it, whole,
for this Python and this kind of machine; it has to be made anew when the code has changed. Nothing else is
compiled, and nothing needs to be: docs/decisions/0038-a-compiled-gateway.md tells what it costs and gains.
"""
# ruff: noqa: INP001 - a script

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEMBERS = ("packages/resilience", "packages/service", "apps/gateway")
MODULES = """
resilience: balance circuit desk ejector lease permit slots
service: context requests telemetry
service/door: connection exchange reader target
service/otlp: encode
service/tracing: http sampler span tracer
service/upstream: client connection head pool
gateway: address errand express head headers identity limits memory path proxy route snapshot tally
gateway/upstreams: delivery group member retry
"""
"""What is compiled. Not here is what msgspec reads (settings, tokens' claims), and what mypyc doesn't know:
exceptions with attributes, named tuples below others, and what has one of these as its base.
"""
HOW = (
    "--namespace-packages",
    "--explicit-package-bases",
    "--follow-imports=silent",
    # What mypy takes for impossible is left out: better to hear of it.
    "--warn-unreachable",
)


def modules() -> list[str]:
    """Their files, below a folder that holds `bookstore`."""
    folders = (line.split(": ") for line in MODULES.split("\n") if line)
    return [f"bookstore/{folder}/{name}.py" for folder, names in folders for name in names.split()]


def compile_into(target: Path) -> None:
    """Make it there.

    Raises:
        SystemExit: the folder is taken, or it couldn't be compiled.
    """
    if target.exists():
        raise SystemExit(f"{target} is there already; remove it, or name another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".compiling-") as folder:
        tree = Path(folder, "tree")
        for member in MEMBERS:
            shutil.copytree(
                ROOT / member / "src", tree, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
            )
        command = [sys.executable, "-m", "mypyc", *HOW, *modules()]
        done = subprocess.run(  # noqa: S603 - our own words
            command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{done.stdout}\nit couldn't be compiled")
        for left in ("build", ".mypy_cache"):
            shutil.rmtree(tree / left, ignore_errors=True)
        # As a whole or not at all: half a folder would serve a mixture.
        tree.rename(target)


def main() -> None:
    """Compile, and say how it is used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to; must not be there yet")
    target: Path = parser.parse_args().folder.absolute()
    compile_into(target)
    print(f"PYTHONPATH={target} uv run python -m bookstore.gateway")  # noqa: T201 - what a command is for


if __name__ == "__main__":
    main()

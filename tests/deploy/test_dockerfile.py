"""The Dockerfile keeps its promises, and each rule finds the mistake that it is there for."""

import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from dockerfile_rules import DOCKERFILE, ROOT, findings


def test_the_dockerfile_keeps_its_promises():
    assert findings(DOCKERFILE) == []


MISTAKES = [
    (r"(FROM python):\S+", r"\1:3.13-slim", "may change under us"),
    (r"(astral-sh/uv):0.13.0(@\S+)", r"\1:latest\2", "may change under us"),
    (r"FROM python AS image", "FROM debian:12.5 AS image", "may change under us"),
    (r"FROM python AS image", "FROM manifests AS image", "another Python"),
    (r"USER 65532:65532", "USER root", "root's"),
    (r"USER 65532:65532", "USER 0:0", "root's"),
    (r"USER 65532:65532\n", "", "root's"),
    (r'ENTRYPOINT \["/app/serve"\]', "ENTRYPOINT /app/serve", "app's own program"),
    (r'ENTRYPOINT \["/app/serve"\]', 'ENTRYPOINT ["sh", "-c", "/app/serve"]', "app's own program"),
    (r'ENTRYPOINT \["/app/serve"\]', 'ENTRYPOINT ["/app/server"]', "app's own program"),
    (r"(ENTRYPOINT.*)", r'\1\nCMD ["--reload"]', "decides what runs"),
    (r"STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL", "SIGTERM"),
    (r"(STOPSIGNAL SIGTERM)", r"\1\nRUN apt-get update", "needs a shell"),
    (r"HEALTHCHECK .*\\\n.*\n", "", "health isn't asked"),
    (r'CMD \["python".*', "CMD curl --fail http://localhost:8001/health", "health isn't asked"),
    (r" --frozen --no-install-workspace", "", "layer of their own"),
    (r" --no-editable", "", "refer to the sources"),
    (r'--no-editable --package "bookstore-\$PACKAGE"', "--no-editable --all-packages", "more than one app"),
    (r"--mount=type=cache,target=/root/.cache/uv", "--network=default", "downloads aren't kept"),
    (r"RUN --mount=type=bind,target=/src", "COPY . .\nRUN --network=default", "part of a layer"),
    (r" \\\n    UV_NO_DEV=1", "", "UV_NO_DEV=1 is missing"),
    (r"COPY --from=build /app /app", "ADD https://example.com/app.tar /app", "ADD https"),
    (r"ARG VERSION=unknown", "ARG SERVICE_SECRET", "holds a secret"),
    (r".*image.revision.*\n", "", "no label revision"),
    (r" \\\n    HOST=0.0.0.0", "", "nobody outside"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("here", "instead", "finding"), MISTAKES, ids=[mistake[1] or mistake[0] for mistake in MISTAKES]
)
def test_a_mistake_is_found(here, instead, finding):
    spoiled, changes = re.subn(here, instead, DOCKERFILE)
    assert changes, "there is no such line any more"
    assert any(finding in each for each in findings(spoiled)), findings(spoiled)


def hadolint(dockerfile):
    program = shutil.which("hadolint", path=Path(sys.executable).parent) or pytest.skip("no hadolint here")
    return subprocess.run(
        [program, "--no-color", "-"], input=dockerfile, capture_output=True, text=True, check=False
    )


def test_a_linter_of_others_finds_nothing():
    linted = hadolint(DOCKERFILE)
    assert linted.returncode == 0, linted.stdout


def test_a_linter_of_others_finds_a_mistake():
    assert "DL3007" in hadolint(re.sub(r"FROM python:\S+", "FROM python:latest", DOCKERFILE)).stdout


def test_only_what_an_image_is_made_of_reaches_a_builder():
    """An allow-list: it begins with everything, and names what a build of any member reads."""
    first, *rest = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in {"", "#"}
    ]
    assert first == "*"
    taken = [line[1:] for line in rest if line.startswith("!")]
    for member in (path.parent for path in ROOT.glob("*/*/pyproject.toml")):
        readme = tomllib.loads((member / "pyproject.toml").read_text())["project"]["readme"]
        for part in ("pyproject.toml", readme, "src"):
            path = str((member / part).relative_to(ROOT))
            assert any(fnmatch.fnmatch(path, pattern) for pattern in taken), path
    assert {"pyproject.toml", "uv.lock"} < {*taken}
    for path in (
        "deploy/.env",
        "tests/conftest.py",
        ".git/config",
        "apps/books/tests/conftest.py",
        "apps/books/.env",
    ):
        assert not any(fnmatch.fnmatch(path, pattern) for pattern in taken), path


def test_a_bot_keeps_the_images_fresh():
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert {"docker", "docker-compose"} <= {
        each["package-ecosystem"] for each in updates if each["directory"] == "/deploy"
    }

"""The Dockerfile keeps its promises, and each rule here finds the mistake that it is there for."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PINNED = re.compile(r"[\w./-]+:(?!latest)[\w.-]*\d[\w.-]*@sha256:[0-9a-f]{64}")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY|CREDENTIAL", re.IGNORECASE)
LABELS = {"title", "description", "version", "revision"}


class Instruction(NamedTuple):
    """One of a stage's: `RUN`, and what follows it on the same or on continued lines."""

    word: str
    text: str


def stages(dockerfile):
    """The instructions of each stage, by its name, FROM among them."""
    found = {}
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.startswith("#")]
    for whole in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        word, text = whole.strip().split(maxsplit=1)
        if word == "FROM":
            name = text.partition(" AS ")[2] or "last"
            found[name] = []
        found[name].append(Instruction(word, text))
    return found


def of(stage, word):
    return [each.text for each in stage if each.word == word]


def ancestry(found, name):
    """A stage with those that it is made from, the first one first."""
    base = of(found[name], "FROM")[0].split()[0]
    return [*(ancestry(found, base) if base in found else []), *found[name]]


def exec_form(text):
    """The words of a command that no shell reads; None if a shell would."""
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if words and not {"sh", "bash", "/bin/sh", "/bin/bash"} & {*words} else None


def images(found):
    """What comes from a registry must not change under us."""
    for stage in found.values():
        names = [text.split()[0] for text in of(stage, "FROM")]
        names += re.findall(r"--from=(\S+)", " ".join(of(stage, "COPY") + of(stage, "RUN")))
        for name in names:
            if name not in found and not PINNED.fullmatch(name.partition(",")[0]):
                yield f"image {name} may change under us"
    if of(found["build"], "FROM") != [
        text.replace(" AS image", " AS build") for text in of(last(found), "FROM")
    ]:
        yield "the environment is made by another Python than the one that runs it"


def last(found):
    return [*found.values()][-1]


def user(found):
    """Nobody is root, and nobody is somebody of this machine."""
    named = of(last(found), "USER")
    if not named or not re.fullmatch(r"[1-9]\d{4,}:[1-9]\d{4,}", named[-1]):
        yield "the last USER is no plain number other than root's"


def process(found):
    """The server is process 1: nothing stands between it and a signal."""
    entry = of(last(found), "ENTRYPOINT")
    words = exec_form(entry[-1]) if entry else None
    made = re.findall(r"ln -s (\S+) (\S+)", " ".join(of(found["build"], "RUN")))
    if words is None or words != [target for _, target in made]:
        yield "the entry point isn't the app's own program"
    if of(last(found), "CMD") or of(last(found), "SHELL"):
        yield "something else than the entry point decides what runs"
    if of(last(found), "STOPSIGNAL") != ["SIGTERM"]:
        yield "it isn't ended by SIGTERM"


def shell(found):
    """The last stage runs nothing: an image without a shell would do as well."""
    yield from (f"the image needs a shell for {text}" for text in of(last(found), "RUN"))


def health(found):
    asked = of(last(found), "HEALTHCHECK")
    words = exec_form(asked[-1].partition("CMD ")[2]) if asked else None
    if words is None or words != ["python", "-m", "bookstore.service.healthcheck"]:
        yield "health isn't asked for by our own program"


def steps(found):
    """Other people's packages first and by the lock alone, ours after them; downloads are kept."""
    runs = [text for text in of(found["build"], "RUN") if "uv sync" in text]
    if len(runs) != 2 or "--no-install-workspace" not in runs[0] or "--frozen" not in runs[0]:
        yield "other people's packages have no layer of their own"
    if not any("--no-editable" in text for text in runs[-1:]):
        yield "ours refer to the sources"
    for text in runs:
        if '--package "bookstore-$PACKAGE"' not in text:
            yield "it is more than one app"
        if "--mount=type=cache,target=/root/.cache/uv" not in text:
            yield "downloads aren't kept"
        if "--mount=type=bind" not in text:
            yield "sources become part of a layer"
    settings = " ".join(of(found["build"], "ENV"))
    for setting in ("UV_NO_DEV=1", "UV_PYTHON_DOWNLOADS=never", "UV_COMPILE_BYTECODE=1"):
        if setting not in settings:
            yield f"{setting} is missing"


def content(found):
    """Nothing is fetched by URL, nothing secret is built in, and it says what it is."""
    for name, stage in found.items():
        yield from (f"ADD {text}" for text in of(stage, "ADD"))
        for text in of(stage, "ARG") + of(stage, "ENV"):
            if SECRET.search(text):
                yield f"{name} holds a secret: {text}"
    told = " ".join(of(last(found), "LABEL"))
    missing = sorted(label for label in LABELS if f"org.opencontainers.image.{label}=" not in told)
    if missing:
        yield f"no label {', '.join(missing)}"
    if "HOST=0.0.0.0" not in " ".join(of(last(found), "ENV")):
        yield "it listens where nobody outside of it gets through"


RULES = (images, user, process, shell, health, steps, content)


def findings(dockerfile):
    found = stages(dockerfile)
    return [finding for rule in RULES for finding in rule(found)]


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

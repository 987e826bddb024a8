"""A Dockerfile taken apart, and what it has to be: each rule tells what it finds wrong."""

import json
import re
from pathlib import Path
from typing import NamedTuple

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

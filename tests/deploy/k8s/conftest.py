"""The overlays of deploy/k8s, rendered once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .kustomize import build

SOURCE = Path(__file__).parents[3] / "deploy/k8s"
EVERYTHING = {
    "apiVersion": "kustomize.config.k8s.io/v1beta1",
    "kind": "Kustomization",
    "resources": ["../production"],
    "components": [f"../../components/{name}" for name in ("ingress", "keda", "servicemonitors")],
    "namespace": "bookstore",
}
OVERLAYS = ("local", "production", "everything")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """deploy/k8s with secrets of its own, and an overlay with each component."""
    copied = tmp_path_factory.mktemp("deploy") / "k8s"
    shutil.copytree(SOURCE, copied, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([sys.executable, copied / "overlays/local/make_secrets.py"], check=True)
    everything = copied / "overlays/everything"
    everything.mkdir()
    (everything / "kustomization.yaml").write_text(yaml.safe_dump(EVERYTHING))
    return copied


@pytest.fixture(scope="session")
def rendered(folder):
    """The resources of each overlay. Whoever changes them has a copy."""
    return {name: build(folder / "overlays" / name) for name in OVERLAYS}

"""kustomize and kubeconform, where they are installed, make and take what the tests here look at."""

import json
import os
import shutil
import subprocess

import pytest
import yaml

from . import schemas
from .conftest import OVERLAYS
from .kustomize import MERGED_BY, build

pytestmark = pytest.mark.long
overlays = pytest.mark.parametrize("overlay", OVERLAYS)


@pytest.fixture(scope="session")
def kustomized(folder):
    """What kustomize makes of each overlay, as text."""
    if not shutil.which("kustomize"):
        pytest.skip("kustomize isn't installed: .ci/run deploy does that where Go is")
    made = {}
    for name in OVERLAYS:
        command = ["kustomize", "build", folder / "overlays" / name]
        made[name] = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return made


def in_order(part):
    """The same with each list that is told by a field in the order of that field."""
    if isinstance(part, dict):
        whole = {name: in_order(value) for name, value in part.items()}
        for name in MERGED_BY.keys() & whole.keys():
            whole[name] = sorted(whole[name], key=lambda each: json.dumps(each, sort_keys=True))
        return whole
    return [in_order(each) for each in part] if isinstance(part, list) else part


@overlays
def test_kustomize_makes_the_same(kustomized, folder, overlay):
    theirs = {name_of(body): in_order(body) for body in yaml.safe_load_all(kustomized[overlay])}
    ours = {name_of(body): in_order(body) for body in build(folder / "overlays" / overlay)}
    assert theirs.keys() == ours.keys()
    for name, body in theirs.items():
        assert ours[name] == body


def name_of(body):
    return body["kind"], body["metadata"]["name"]


@overlays
@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_kubeconform_takes_it(kustomized, overlay, version, tmp_path):
    """With the same schemas, since it would fetch its own: its own reading of them is what is asked for."""
    if not shutil.which("kubeconform"):
        pytest.skip("kubeconform isn't installed: .ci/run deploy does that where Go is")
    for body in yaml.safe_load_all(kustomized[overlay]):
        name = schemas.file_name(body)
        (tmp_path / f"{name}.json").write_text(json.dumps(schemas.schema(name, version)))
    checked = subprocess.run(
        [
            "kubeconform",
            "-strict",
            "-output=json",
            f"-schema-location={tmp_path}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        ],
        input=kustomized[overlay],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr

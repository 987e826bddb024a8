"""What is deployed to Kubernetes is sound, and each mistake that could be made in it would be found."""

import copy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from . import rules, schemas
from .kustomize import build
from .mistakes import GONE, IN_A_CLUSTER, MISSPELT, ON_ONE_MACHINE, Rendered
from .world import World

ROOT = Path(__file__).parents[2]
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
    shutil.copytree(ROOT / "deploy/k8s", copied, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([sys.executable, copied / "overlays/local/make_secrets.py"], check=True)
    everything = copied / "overlays/everything"
    everything.mkdir()
    (everything / "kustomization.yaml").write_text(yaml.safe_dump(EVERYTHING))
    return copied


@pytest.fixture(scope="session")
def rendered(folder):
    """The resources of each overlay. Whoever changes them has a copy."""
    return {name: build(folder / "overlays" / name) for name in OVERLAYS}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_deployed_is_sound(rendered, overlay):
    assert rules.faults(World(rendered[overlay])) == []


@pytest.mark.parametrize("version", schemas.VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_takes_it(rendered, overlay, version):
    assert schemas.faults(rendered[overlay], version) == []


def with_mistake(resources, mistake):
    """The resources with a mistake made in one of them."""
    wrong = Rendered(resources)
    before = wrong.pop(mistake.where)
    if mistake.change is not GONE:
        wrong[mistake.where] = after = copy.deepcopy(before)
        mistake.change(after)
    return list(wrong.values())


def each(mistakes):
    names = [f"{at} {one.where}: {one.said}" for at, one in enumerate(mistakes)]
    return pytest.mark.parametrize("mistake", mistakes, ids=names)


@each(ON_ONE_MACHINE)
def test_a_mistake_is_found_on_one_machine(rendered, mistake):
    found = rules.faults(World(with_mistake(rendered["local"], mistake)))
    assert any(mistake.said in fault for fault in found), found


@each(IN_A_CLUSTER)
def test_a_mistake_is_found_in_a_cluster(rendered, mistake):
    found = rules.faults(World(with_mistake(rendered["everything"], mistake)))
    assert any(mistake.said in fault for fault in found), found


@pytest.mark.parametrize("version", schemas.VERSIONS)
@each(MISSPELT)
def test_what_is_misspelt_is_found_by_every_version(rendered, mistake, version):
    found = schemas.faults(with_mistake(rendered["everything"], mistake), version)
    assert any(mistake.said in fault for fault in found), found


def test_each_rule_has_found_something(rendered):
    """A rule that nothing breaks may look at nothing."""
    tried = [(mistake, "local") for mistake in ON_ONE_MACHINE]
    tried += [(mistake, "everything") for mistake in IN_A_CLUSTER]
    found = set()
    for mistake, overlay in tried:
        world = World(with_mistake(rendered[overlay], mistake))
        found |= {rule for rule in rules.RULES if rule not in found and list(rule(world))}
    assert found == set(rules.RULES)

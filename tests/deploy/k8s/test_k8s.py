"""What is deployed to Kubernetes is sound, and each mistake that could be made in it would be found."""

import copy
import math
import re
from pathlib import Path

import pytest
import yaml

from . import rules, schemas
from .conftest import OVERLAYS
from .mistakes import GONE, IN_A_CLUSTER, MISSPELT, ON_ONE_MACHINE, Rendered
from .world import World

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
ROW = re.compile(r"^\| ([a-z-]+) \| [\d.]+ \| [\d.]+ \| (\d+) \| (\d+) \|", re.MULTILINE)
SECRET = re.compile(r"^\| `([a-z-]+)` \| (`.*?`) \|", re.MULTILINE)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_deployed_is_sound(rendered, overlay):
    assert rules.faults(World(rendered[overlay])) == []


@pytest.mark.parametrize("version", schemas.VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_takes_it(rendered, overlay, version):
    assert schemas.faults(rendered[overlay], version) == []


def with_mistake(resources, mistake):
    """The resources with a mistake made in one of them, which is the last one then."""
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
    [*_, wrong] = with_mistake(rendered["everything"], mistake)
    found = schemas.faults([wrong], version)
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


def test_the_page_on_scaling_reckons_with_what_is_there(rendered):
    """Its tables of pods and connections are those of the overlay."""
    world = World(rendered["production"])
    page = (ROOT / "docs/scaling.md").read_text()
    told = {name: tuple(map(int, row)) for name, *row in ROW.findall(page)}
    assert told == {
        app.name: (world.most(app), world.connections().get(app.name, 0))
        for app in world.apps
        if app.name != "monitor"
    }
    assert f"{sum(world.connections().values())} connections" in page


def test_the_page_on_installing_names_every_secret(rendered):
    page = (ROOT / "deploy/k8s/README.md").read_text()
    told = {name: set(re.findall(r"`(\w[\w.]+)`", keys)) for name, keys in SECRET.findall(page)}
    asked = {}
    for workload in World(rendered["everything"]).workloads:
        for variable in workload.container.get("env", ()):
            reference = variable["valueFrom"]["secretKeyRef"]
            asked.setdefault(reference["name"], set()).add(reference["key"])
    others = {"ledger-reader": {"DATABASE_URL"}, "bookstore-tls": {"tls.crt", "tls.key"}}
    assert told == asked | others


def test_it_is_the_system_that_compose_starts(rendered):
    """The same images under the same user, and the same stores, with one script for their databases."""
    world = World(rendered["local"])
    composed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    theirs = {each["image"].partition("@")[0] for each in composed.values()}
    assert {each.container["image"] for each in world.workloads} <= theirs
    users = re.findall(r"^USER (\d+):(\d+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    ours = {each.pod["securityContext"]["runAsUser"] for each in world.apps}
    assert users == [(str(user), str(user)) for user in ours]


def test_the_page_on_scaling_can_add_up():
    """Cores and pods follow from what an order costs, and each table's sum from its rows."""
    page = (ROOT / "docs/scaling.md").read_text()
    tables = re.findall(r"^\| part.* ms an order .*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert len(tables) == 2
    for table in tables:
        *parts, total = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]
        costs = []
        for _, cost, cores, *others in parts:
            each = float(cost.split()[0])
            costs.append(each)
            assert float(cores) == pytest.approx(each * 10)
            if others[-1]:
                assert int(others[-1]) == math.ceil(each * 10 / 0.7)
            if "(" in cost:
                assert each == pytest.approx(int(re.sub(r"\D", "", cost.split()[1])) / 1000, abs=0.006)
        assert float(total[1]) == pytest.approx(sum(costs))
        assert float(total[2]) == pytest.approx(sum(costs) * 10)

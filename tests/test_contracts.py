"""What crosses the wire is committed, made from the sources, and compared with what was released."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bookstore.lab.contracts.command import compare, told
from bookstore.lab.contracts.repository import Repository
from bookstore.lab.failures import LabError

ROOT = Path(__file__).parent.parent
APPS = sorted(path.parents[3] for path in ROOT.glob("apps/*/src/bookstore/*/app.py"))
DOCUMENTS = [app / "openapi.json" for app in APPS]
SCHEMAS = ROOT / "packages/contracts/schemas"
MEMBERS = ("apps/books", "apps/orders", "packages/contracts")
KEPT = ("pyproject.toml", "openapi.json", "schemas")

every_app = pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)


def test_the_committed_documents_are_made_from_the_sources(tmp_path):
    folders = [tmp_path / app.name for app in APPS]
    for folder in folders:
        folder.mkdir()
    subprocess.run([sys.executable, "-m", "bookstore.service.docs", *folders], check=True)
    subprocess.run([sys.executable, "-m", "bookstore.contracts.schemas", tmp_path / "schemas"], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "schemas").iterdir()}
    assert made == {path.name: path.read_text() for path in SCHEMAS.iterdir()}, MAKE
    for folder, document in zip(folders, DOCUMENTS, strict=True):
        assert (folder / "openapi.json").read_text() == document.read_text(), MAKE


MAKE = "made anew by `uv run bookstore contracts write`"


@every_app
def test_a_running_service_serves_what_is_committed(app, bookstore, client):
    served = client.get(f"{bookstore.url(f'{app.name}-1')}/openapi.json")
    assert served.json() == json.loads((app / "openapi.json").read_text()), MAKE


class Clone:
    """A repository with what the members have committed to, and a release of each."""

    def __init__(self, root):
        self.root = root
        for path in (ROOT / member / "pyproject.toml" for member in MEMBERS):
            member = root / path.parent.relative_to(ROOT)
            member.mkdir(parents=True)
            for name in KEPT:
                if (path.parent / name).is_dir():
                    shutil.copytree(path.parent / name, member / name)
                elif (path.parent / name).exists():
                    shutil.copy(path.parent / name, member)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.commit("as it is")

    def git(self, *words):
        subprocess.run(
            ["git", "-C", self.root, "-c", "user.name=t", "-c", "user.email=t@example.com", *words],
            check=True,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(self.root)},
        )

    def commit(self, message):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def version(self, member, version):
        path = self.root / member / "pyproject.toml"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text(
            "".join(f'version = "{version}"\n' if x.startswith("version =") else x for x in lines)
        )

    def release(self, member, version):
        self.version(member, version)
        self.git("commit", "--quiet", "--allow-empty", "--all", "--message", f"{member} {version}")
        self.git("tag", f"{Path(member).name}-v{version}")

    def edit(self, path, change):
        """Change a document as somebody would by changing the sources."""
        file = self.root / path
        document = json.loads(file.read_text())
        change(document)
        file.write_text(json.dumps(document))

    def diff(self, *words):
        return subprocess.run(
            [sys.executable, "-m", "bookstore.lab", "contracts", "diff", *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )

    def finds(self, member, revision=None):
        """What is said of a member, and whether its version is enough."""
        rows = told(compare(Repository(self.root), revision))["members"]
        return next(row for row in rows if row["member"] == member)


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path / "clone")


def shape(name, part):
    return lambda document: part(document["components"]["schemas"][name])


PRICE = "total_price"
MISTAKES = [
    # what somebody did, in which document, what is found: effect, rule, where
    (
        "a field of an answer is gone",
        shape("OrderV2", lambda it: [it["properties"].pop(PRICE), it["required"].remove(PRICE)]),
        "breaking", "field-removed", "OrderV2.total_price in GET /v2/orders, answer 200",
    ),
    (
        "a request needs one more field",
        shape("NewLine", lambda it: (it["properties"].update(gift={}), it["required"].append("gift"))),
        "breaking", "field-added-required", "NewLine.gift in POST /v2/orders, body",
    ),
    (
        "a request's bounds are drawn tighter",
        shape("NewOrderV1", lambda it: it["properties"]["quantity"].update(maximum=10)),
        "breaking", "range-narrowed", "NewOrderV1.quantity in POST /v1/orders, body",
    ),
    (
        "an answer has a state that nobody has heard of",
        shape("StateEvent", lambda it: it["properties"]["status"]["enum"].append("Lost")),
        "breaking", "value-added", "StateEvent.status in GET /v2/orders/{order_id}/events, answer 200",
    ),
    (
        "an operation is gone",
        lambda document: document["paths"].pop("/v2/orders/{order_id}/cancel"),
        "breaking", "operation-removed", "POST /v2/orders/{order_id}/cancel",
    ),
    (
        "everybody could read it, and now needs a token",
        lambda document: document["paths"]["/v1/orders"]["get"].update(security=[{"bearer": []}]),
        "breaking", "access-tightened", "GET /v1/orders",
    ),
    (
        "an answer tells one thing more",
        shape("OrderV1", lambda it: it["properties"].update(note={"type": "string"})),
        "additive", "field-added", "OrderV1.note in GET /v1/orders, answer 200, POST /v1/orders, answer 201",
    ),
    (
        "a request may say one thing more",
        shape("NewOrderV1", lambda it: it["properties"].update(note={"type": "string"})),
        "additive", "field-added", "NewOrderV1.note in POST /v1/orders, body",
    ),
    (
        "it is only said better",
        lambda document: document["paths"]["/v1/orders"]["get"].update(description="All of them."),
        "neutral", "wording-changed", "GET /v1/orders",
    ),
]  # fmt: skip


@pytest.mark.parametrize("mistake", [pytest.param(each, id=each[0]) for each in MISTAKES])
def test_a_seeded_change_is_found_and_the_version_held_to_it(clone, mistake):
    _, change, effect, rule, where = mistake
    clone.release("apps/orders", "1.4.2")
    clone.edit("apps/orders/openapi.json", change)
    found = clone.finds("orders")
    [seen] = found["changes"]
    assert (seen["effect"], seen["rule"]) == (effect, rule)
    assert seen["where"].startswith(where)
    step, needs = {
        "breaking": ("major", "2.0.0"),
        "additive": ("minor", "1.5.0"),
        "neutral": ("patch", "1.4.3"),
    }[effect]
    assert (found["since"], found["step"], found["needs"]) == ("orders-v1.4.2", step, needs)
    assert not found["enough"]


@pytest.mark.parametrize(
    ("released", "version", "enough"),
    [
        ("1.4.2", "1.5.0", False),
        ("1.4.2", "2.0.0", True),
        ("0.4.2", "0.4.3", False),
        ("0.4.2", "0.5.0", True),
        ("0.4.2", "1.0.0", True),
    ],
)
def test_a_breaking_change_asks_for_a_version_that_says_so(clone, released, version, enough):
    clone.release("apps/orders", released)
    clone.edit("apps/orders/openapi.json", MISTAKES[0][1])
    clone.version("apps/orders", version)
    assert clone.finds("orders")["enough"] is enough


def test_the_command_tells_people_and_scripts_and_its_caller(clone):
    clone.release("apps/orders", "1.4.2")
    clone.edit("apps/orders/openapi.json", MISTAKES[0][1])
    clone.version("apps/orders", "1.5.0")
    result = clone.diff()
    assert result.returncode == 1
    assert "asks for a major step, 2.0.0 or later ✗ the version is 1.5.0" in result.stdout
    assert "breaking OrderV2.total_price in" in result.stdout
    clone.version("apps/orders", "2.0.0")
    result = clone.diff("--json")
    assert (result.returncode, json.loads(result.stdout)["enough"]) == (0, True)


def test_a_contract_shape_is_held_to_who_writes_it(clone):
    clone.release("packages/contracts", "0.1.0")

    def widen(document):
        document["$defs"]["StateEvent"]["properties"]["status"]["enum"].append("Lost")
        document["$defs"]["NewOrderV1"]["properties"]["quantity"]["maximum"] = 20_000

    clone.edit("packages/contracts/schemas/orders.json", widen)
    found = clone.finds("contracts")
    assert {(each["where"], each["effect"]) for each in found["changes"]} == {
        ("orders.json, StateEvent, status", "breaking"),
        ("orders.json, NewOrderV1, quantity", "additive"),
    }
    assert found["needs"] == "0.2.0"


def test_each_member_is_compared_with_its_own_last_release(clone):
    clone.release("apps/orders", "0.9.0")
    clone.edit("apps/orders/openapi.json", MISTAKES[0][1])
    clone.release("apps/orders", "0.10.0")
    assert (clone.finds("orders")["since"], clone.finds("orders")["changes"]) == ("orders-v0.10.0", [])
    assert clone.finds("books")["note"] == "not released yet"
    assert clone.finds("books", "orders-v0.9.0")["since"] == "orders-v0.9.0"
    orders = clone.finds("orders", "orders-v0.9.0")
    assert (orders["released"], orders["needs"], orders["enough"]) == ("0.9.0", "0.10.0", True)


def test_a_tag_of_another_branch_is_no_release_of_this_one(clone):
    clone.git("checkout", "--quiet", "-b", "other")
    clone.release("apps/orders", "9.0.0")
    clone.git("checkout", "--quiet", "main")
    assert clone.finds("orders")["since"] is None


def test_a_version_never_goes_back(clone):
    clone.release("apps/orders", "1.4.2")
    clone.version("apps/orders", "1.4.1")
    assert not clone.finds("orders")["enough"]


def test_a_document_that_is_gone_breaks_everybody(clone):
    clone.release("apps/orders", "1.0.0")
    (clone.root / "apps/orders/openapi.json").unlink()
    assert clone.finds("orders")["needs"] == "2.0.0"


def test_nothing_released_yet_is_said(clone):
    result = clone.diff()
    assert result.returncode == 0
    assert "nothing has been released yet" in result.stdout


def test_a_first_document_has_nothing_to_be_compared_with(clone):
    clone.git("rm", "--quiet", "--cached", "apps/orders/openapi.json")
    clone.git("commit", "--quiet", "--message", "without")
    clone.git("tag", "orders-v0.1.0")
    assert clone.finds("orders")["note"] == "had none at orders-v0.1.0: nothing to compare"


def test_what_cant_be_compared_is_no_verdict(clone, tmp_path):
    result = clone.diff("orders-v9.9.9")
    assert (result.returncode, result.stdout) == (2, "")
    assert "no tag or commit orders-v9.9.9" in result.stderr

    def refused(why, revision=None):
        with pytest.raises(LabError, match=why) as caught:
            clone.finds("orders", revision)
        assert caught.value.code == 2

    refused("no tag or commit --all", "--all")
    clone.version("apps/orders", "1.0rc1")
    refused("isn't three numbers: 1.0rc1")
    clone.version("apps/orders", "1.0.0")
    (clone.root / "apps/orders/openapi.json").write_text("{")
    refused("apps/orders has committed to can't be read")
    clone.root = tmp_path
    refused("isn't in a clone")

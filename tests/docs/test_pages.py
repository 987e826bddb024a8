"""What pages show of the code is what the code says, and nothing that they promise to list is missing."""

import re
from pathlib import Path

import pytest
from docs.site import api, calls, fill, library, stage

from bookstore import resilience
from bookstore.lab.scenarios.guide import library as guides
from bookstore.lab.system.topology import SYSTEM

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PATTERNS = sorted(path for path in (DOCS / "patterns").glob("*.md") if path.name != "README.md")
LONGEST = 50
"""Lines of code that a page shows at a time: more is a file to be read, and not a page."""


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    stage.stage(ROOT, folder)
    return folder


def test_what_pages_show_of_the_code_is_what_the_code_says():
    """Else: `uv run python -m docs.site fill`."""
    made = fill.pages(ROOT) | calls.files(ROOT)
    assert [str(path.relative_to(ROOT)) for path, text in made.items() if path.read_text() != text] == []
    kept = {path for path in (DOCS / "requests").rglob("*") if path.is_file()}
    assert kept == {path for path in made if path.is_relative_to(DOCS / "requests")}


@pytest.mark.parametrize(
    "what",
    [
        "code: apps/orders/src/bookstore/orders/life.py#nobody",
        "code: apps/orders/src/bookstore/orders/placing.py#Placing.nobody",
        "code: apps/gateway/src/bookstore/gateway/config/default.toml#[limits.nobody]",
        "settings: orders NOBODY",
        "experiments: nobody-killed",
        "tests: tests/test_nobody.py",
        "guide: 999",
        "alert: NobodyDown",
    ],
)
def test_what_is_gone_from_the_code_can_not_be_shown(what):
    with pytest.raises(LookupError):
        fill.filled(ROOT, f"<!-- {what} -->\n<!-- end -->")


def test_a_piece_of_code_is_all_of_it_and_no_more(tmp_path):
    (tmp_path / "room.py").write_text(
        "import x\n\n@x.y\nclass A:\n    B: int = 1\n\n    @staticmethod\n    async def c():\n        pass\n"
        "\n    d = 1\n"
    )
    (tmp_path / "file.toml").write_text("[a]\nb = 1\n\n[c]\nd = 2\n")
    shown = fill.filled(
        tmp_path,
        "<!-- code: room.py#A.c -->\nold\n<!-- end -->\n<!-- code: room.py#A.B -->\n<!-- end -->\n"
        "<!-- code: file.toml#[a] -->\n<!-- end -->",
    )
    assert re.findall(r"```\w+\n(.*?)\n```", shown, re.DOTALL) == [
        "@staticmethod\nasync def c():\n    pass",
        "B: int = 1",
        "[a]\nb = 1",
    ]


def test_a_setting_is_the_services_own_where_its_worker_has_one_of_that_name():
    shown = fill.filled(ROOT, "<!-- settings: orders BOOKS_TIMEOUT WORKER_LEASE -->\n<!-- end -->")
    defaults = re.findall(r"^\| `(\w+)` \| (.*?) \|", shown, re.MULTILINE)
    assert defaults == [("BOOKS_TIMEOUT", "1.0"), ("WORKER_LEASE", "15.0")]


def headings(page):
    return re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PATTERNS, ids=lambda path: path.stem)
def test_a_pattern_has_its_story_its_code_its_proof_its_settings_and_its_price(page):
    text = page.read_text()
    _, first, *rest = headings(page)
    assert first.startswith("Without ")
    assert [each for each in rest if each in {"Here", "The proof", "Settings", "What it costs"}] == [
        *("Here", "The proof", "Settings", "What it costs")
    ]
    shown = {kind for kind, _ in fill.PART.findall(text)}
    assert {"code", "settings"} < shown
    assert shown & {"experiments", "tests"}
    for code in re.findall(r"^```(?:python|toml)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        assert code.count("\n") <= LONGEST, code[:80]
    assert f"]({page.name})" in (DOCS / "patterns" / "README.md").read_text()


def test_every_guide_has_a_page_with_all_of_its_steps():
    for number, guide in guides().items():
        steps = headings(DOCS / "guides" / f"{number}.md")
        assert [each.title for each in guide.steps] == [
            each for each in steps if each in dict.fromkeys(steps[3:-1])
        ]


def test_every_alert_is_on_the_page_where_its_runbook_leads():
    page = DOCS / "operations" / "alerts.md"
    told = [each for each in headings(page) if each in fill.ALERTS]
    assert sorted(told) == sorted(fill.ALERTS)
    assert {alert.runbook for alert in fill.ALERTS.values()} == {
        f"{page.relative_to(ROOT)}#{name.lower()}" for name in told
    }
    for name, alert in fill.ALERTS.items():
        assert alert.rule()["annotations"]["runbook_url"] == alert.runbook
        section = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
        assert f"<!-- alert: {name} -->" in section[1]
        assert re.search(r"^1\. ", section[1], re.MULTILINE), f"what is to be done about {name}?"


def test_the_reference_has_every_name_of_the_library():
    told = [name for _, names in library.BY_SUBJECT.values() for name in names.split()]
    assert sorted(told) == sorted(resilience.__all__)


def test_the_api_has_every_service_that_one_can_ask():
    assert set(api.APPS) == {each.name for each in SYSTEM.services if (ROOT / "apps" / each.name).is_dir()}


def test_every_page_is_in_the_navigation_once(staged):
    def leaves(entry):
        if isinstance(entry, str):
            return [entry]
        values = entry.values() if isinstance(entry, dict) else entry
        return [leaf for value in values for leaf in leaves(value)]

    told = leaves(stage.navigation(staged))
    assert sorted(told) == sorted(str(path.relative_to(staged)) for path in staged.rglob("*.md"))


def test_the_api_pages_have_what_services_answer(staged):
    orders = (staged / "api" / "orders.md").read_text()
    assert "## POST `/v2/orders`" in orders
    assert "| `Idempotency-Key` | header |" in orders
    assert "### OrderV2" in orders
    assert "## PUT `/inventory/{book_id}`" in (staged / "api" / "books.md").read_text()


def test_the_library_pages_have_signatures_and_what_arguments_mean(staged):
    policies = (staged / "library" / "policies.md").read_text()
    assert "Breaker(*, name=''" in policies
    assert re.search(r"^- `open_for`: ", policies, re.MULTILINE)
    assert "0x" not in policies, "an address, which is another one each time"


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("[a](../apps/orders)", "[a](members/orders.md)"),
        ("[a](../apps/orders/README.md#settings)", "[a](members/orders.md#settings)"),
        ("[a](patterns/README.md)", "[a](patterns/index.md)"),
        ("[queue/model.py](../apps/orders/src/bookstore/orders/queue/model.py)", "queue/model.py"),
        ("[a](../otel/prometheus/rules)", "a (`otel/prometheus/rules`)"),
        ("[a](https://example.com)", "[a](https://example.com)"),
        ("```\n[a](nowhere.md)\n```", "```\n[a](nowhere.md)\n```"),
    ],
)
def test_links_lead_to_pages_of_the_site(text, becomes, monkeypatch):
    page = DOCS / "start.md"
    monkeypatch.setattr(Path, "read_text", lambda _: text)
    assert stage.relinked(ROOT, str(page.relative_to(ROOT)), stage.places(ROOT)) == becomes


def test_a_link_that_leads_nowhere_ends_the_build(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda _: "[a](nowhere.md)")
    with pytest.raises(ValueError, match=r"nowhere\.md"):
        stage.relinked(ROOT, "docs/start.md", stage.places(ROOT))


def test_a_folder_with_anything_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert stage.build(ROOT, tmp_path) != 0
    assert (tmp_path / "thesis.txt").exists()

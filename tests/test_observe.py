"""What the tools are told fits together: files and generator, rules and metrics, boards and sources."""

import json
import re
from pathlib import Path

import pytest
import yaml

from bookstore.lab.observe import alerts, prometheus, slo
from bookstore.lab.observe.boards import BOARDS
from bookstore.lab.observe.files import files
from bookstore.lab.observe.grafana import sources
from bookstore.lab.observe.table import replaced
from bookstore.lab.observe.yaml import dump
from bookstore.lab.system.topology import SYSTEM

ROOT = Path(__file__).parent.parent
OTEL = ROOT / "otel"
DOCUMENT = ROOT / "docs" / "metrics.md"
ALERTS = [
    *(alert for about in alerts.BY_SUBJECT.values() for alert in about),
    *(alert for each in slo.SLOS for alert in slo.alerts(each)),
]
EXPRESSIONS = [
    *(query for board in BOARDS for query in board.queries()),
    *(alert.expr for alert in ALERTS),
    *(each.ratio("5m") for each in slo.SLOS),
]
WORDS = {
    "and", "avg_over_time", "by", "changes", "clamp_min", "count", "histogram_quantile", "increase", "max",
    "min", "on", "or", "rate", "sum", "time", "topk", "vector", "without",
}  # fmt: skip
"""Of PromQL, as far as it is used."""


def test_what_is_checked_in_is_what_the_generator_makes():
    made = files()
    kept = {str(path.relative_to(OTEL)): path.read_text() for path in OTEL.rglob("*") if path.is_file()}
    assert kept.keys() == {*made, "README.md"}
    assert [path for path, text in made.items() if kept[path] != text] == []


@pytest.mark.parametrize(
    "data",
    [
        {"a": ["plain", "1", "1.5", "true", "No", "null", "~", "", " x", "x ", "a: b", "a #b", "- a", "{a}"]},
        {"a": {"b": [{"c": 1, "d": ["e"]}, {"f": {}}], "g": []}, "h": None, "i": True, "j": 0.5, "on": "off"},
        {"lines": "first\n  second\nthird", "quoted": "it's \"so\"", "odd": "ü\t\\", "2026-11-21": "%a"},
        *({"file": name, **each} for name, each in prometheus.rule_files().items()),
    ],
)  # fmt: skip
def test_yaml_says_what_was_meant(data):
    assert yaml.safe_load(dump(data, "a note\nof two lines")) == data


def told(bookstore, client):
    services = [row for row in bookstore.status()["services"] if row["kind"] == "app"]
    return [client.get(f"{row['url']}/metrics").text for row in services]


def test_the_document_has_every_metric_of_every_service(bookstore, client):
    assert replaced(DOCUMENT.read_text(), told(bookstore, client)) == DOCUMENT.read_text()


def test_rules_ask_for_edges_that_histograms_have(bookstore, client):
    edges = {edge for text in told(bookstore, client) for edge in re.findall(r'le="([^"]+)"', text)}
    asked = {edge for expr in EXPRESSIONS for edge in re.findall(r'le="([^"]+)"', expr)}
    assert asked
    assert asked <= edges


def documented():
    """The names under which documented metrics are asked for."""
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", DOCUMENT.read_text(), re.MULTILINE):
        yield name
        if kind == "histogram":
            yield from (f"{name}_{part}" for part in ("bucket", "sum", "count"))


def test_rules_and_boards_ask_for_metrics_that_there_are():
    known = {*documented(), "up", "ALERTS"}
    recorded = {
        rule["record"]
        for each in slo.SLOS
        for group in slo.rules(each)["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    for expr in EXPRESSIONS:
        bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|(?:by|without|on) ?\([^)]*\)", " ", expr)
        for name in re.findall(r"[a-zA-Z_][\w:]*", bare):
            foreign = name.startswith(("process_", "python_", "scrape_"))
            assert foreign or name in known | recorded | WORDS, f"{name} in {expr}"


def test_every_service_is_asked():
    jobs = {job["job_name"] for job in prometheus.config(prometheus.targets(SYSTEM, {}))["scrape_configs"]}
    assert jobs == {
        service.name for service in SYSTEM.services if service.kind == "app" and not service.apart
    } | {"prometheus"}


def test_alerts_have_names_of_their_own_and_say_what_they_are_about():
    names = [alert.name for alert in ALERTS]
    assert len(set(names)) == len(names)
    assert {"OrdersServiceDown", "OrdersHigh5xxRate", "OrdersHighLatencyP95"} < set(names)
    for alert in ALERTS:
        assert alert.story.quiet, alert.name
        assert alert.severity in {"critical", "warning"}


def test_boards_are_sound():
    known = {source["uid"] for source in sources()["datasources"]}
    assert len({board.uid for board in BOARDS}) == len(BOARDS) == 5
    for board in BOARDS:
        model = json.loads(board.json())
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in model["panels"]]
        assert len(set(places)) == len(places)
        assert len({panel["id"] for panel in model["panels"]}) == len(places)
        for panel in model["panels"]:
            assert panel["description"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} <= known


def test_the_page_names_every_promise():
    page = (OTEL / "README.md").read_text()
    for each in slo.SLOS:
        promise = each.says.removeprefix(f"{each.objective} % of ").removesuffix(".")
        assert f"| {promise} | {each.objective} |" in page

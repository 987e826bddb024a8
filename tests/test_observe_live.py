"""Prometheus itself takes all of it: rules prove themselves, and a system that runs answers all questions."""

import math
import re
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from bookstore.lab.observe.boards import BOARDS
from bookstore.lab.system.topology import INSTRUMENTS
from bookstore.stores.process import ProcessId

from .visitor import LIFE, SERVICES, edges, visit

ROOT = Path(__file__).parent.parent
PROMETHEUS = ROOT / "otel" / "prometheus"
PATIENCE = 240
needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus") is None,
    reason="prometheus isn't installed here: `apt install prometheus`, or `.ci/run observe` as root",
)
needs_jaeger = pytest.mark.skipif(
    shutil.which("jaeger") is None, reason="Jaeger 2 isn't installed here: jaegertracing.io/download"
)
pytestmark = [pytest.mark.long, needs_prometheus, pytest.mark.timeout(PATIENCE)]


def promtool(*words, folder=PROMETHEUS):
    return subprocess.run(["promtool", *words], cwd=folder, capture_output=True, text=True, check=False)


def test_the_configuration_is_accepted():
    checked = promtool("check", "config", "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_stay_quiet_fire_and_are_over(file):
    proved = promtool("test", "rules", file.name, folder=file.parent)
    assert proved.returncode == 0, proved.stdout + proved.stderr


def test_a_rule_that_is_wrong_fails_its_proof(tmp_path):
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    rules = tmp_path / "prometheus" / "rules" / "queue.yml"
    for wrong in (
        ("> 120", "> 12000"),
        ("> 120", "> 12"),
        ('for: "1m"', 'for: "10m"'),
        ('for: "1m"', 'for: "0m"'),
    ):
        rules.write_text((PROMETHEUS / "rules" / "queue.yml").read_text().replace(*wrong))
        proved = promtool("test", "rules", "queue.yml", folder=tmp_path / "prometheus" / "tests")
        assert proved.returncode == 1, wrong


def test_services_tell_in_a_form_that_promtool_likes(observed_bookstore, client):
    for name, row in observed_bookstore.services().items():
        if row["kind"] == "app" and row["name"] not in INSTRUMENTS:
            text = client.get(f"{row['url']}/metrics").text
            checked = subprocess.run(
                ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
            )
            assert checked.returncode == 0, f"{name}: {checked.stderr}"


@pytest.fixture
def ask(observed_bookstore, client):
    """Ask Prometheus; gives what is a number."""
    url = observed_bookstore.url("prometheus")

    def ask(expr):
        answer = client.post(f"{url}/api/v1/query", data={"query": expr})
        assert answer.status_code == 200, f"{expr}: {answer.text}"
        values = [float(series["value"][1]) for series in answer.json()["data"]["result"]]
        return [value for value in values if not math.isnan(value)]

    return ask


@pytest.fixture(scope="module")
def after_the_demo(observed_bookstore):
    result = observed_bookstore.run("demo", "--yes")
    assert result.returncode == 0, result.stdout + result.stderr


def questions():
    page = (ROOT / "otel" / "README.md").read_text().partition("## Questions")[2]
    block = re.search(r"```text\n(.*?)```", page, re.DOTALL)[1]
    return [line for line in block.splitlines() if line and not line.startswith("#")]


def test_what_runs_is_scraped(observed_bookstore, ask, eventually):
    apps = {
        row["name"] for row in observed_bookstore.services().values() if row["kind"] == "app"
    } - INSTRUMENTS
    doors = {"supplier-control", "gateway-admin"}
    eventually(lambda: len(ask("up == 1")) >= len(apps - doors))


@pytest.mark.usefixtures("after_the_demo")
@pytest.mark.parametrize("expr", [each for each in questions() if not each.endswith(("== 0", "== 1"))])
def test_every_question_of_the_page_has_an_answer(expr, ask, eventually):
    assert eventually(lambda: ask(expr))


@pytest.mark.usefixtures("after_the_demo")
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_every_panel_shows_something_after_the_demo(board, ask, eventually):
    for query in board.queries():
        # However slow the machine is, the demo was within that time.
        expr = query.replace("$__rate_interval", "15m").replace("$job", ".+")
        assert eventually(lambda expr=expr: ask(expr)), query


def test_one_single_error_is_seen(observed_bookstore, ask, client, eventually):
    """A caller who leaves no time is told 503; nothing else of orders fails meanwhile."""
    rate = next(each for each in questions() if "5xx" in each and each.endswith("* 100"))
    errors = 'sum(http_requests_total{job="orders",status_class="5xx"})'
    eventually(lambda: ask(errors))
    [before] = ask(errors)
    answer = client.post(
        f"{observed_bookstore.url('orders-1')}/v1/orders",
        json={"book_id": 1, "quantity": 1},
        headers={"x-deadline-ms": "1"},
    )
    assert answer.status_code == 503
    eventually(lambda: ask(errors) == [before + 1])
    assert eventually(lambda: [value for value in ask(rate) if value > 0])


def test_who_is_away_is_asked_about(observed_bookstore, ask, eventually):
    [down] = [each for each in questions() if each.endswith("== 0")]
    assert ask(down) == []
    frozen = ProcessId.of(observed_bookstore.services()["orders-1"]["pid"])
    frozen.send(signal.SIGSTOP)
    try:
        eventually(lambda: ask(down) == [0])
    finally:
        frozen.send(signal.SIGCONT)
    eventually(lambda: ask(down) == [])


@pytest.fixture(scope="module")
def visited(observed_bookstore):
    """The trace of a visit."""
    trace_id = secrets.token_hex(16)
    visit(observed_bookstore.services(), trace_id, secrets.token_hex(8))
    return trace_id


@needs_jaeger
def test_jaeger_has_the_whole_life_of_an_order(observed_bookstore, visited, client, eventually):
    def spans():
        answer = client.get(f"{observed_bookstore.url('jaeger')}/api/traces/{visited}")
        if answer.status_code == 404:
            return set()
        [trace] = answer.json()["data"]
        by = {key: each["serviceName"] for key, each in trace["processes"].items()}
        kinds = [{tag["key"]: tag["value"] for tag in span["tags"]}["span.kind"] for span in trace["spans"]]
        return {
            f"{by[span['processID']]} {kind.upper()} {span['operationName']}"
            for span, kind in zip(trace["spans"], kinds, strict=True)
        }

    eventually(lambda: {child for _, child in edges(LIFE)} <= spans())


@needs_jaeger
@pytest.mark.usefixtures("visited")
def test_jaeger_counts_every_span_for_prometheus(ask, eventually):
    counted = 'count by (service_name) (traces_span_metrics_calls_total{service_name=~"%s"})'
    eventually(lambda: len(ask(counted % "|".join(SERVICES))) == len(SERVICES))

"""What Prometheus is told: as much as happened, by names that nobody outside can multiply."""

import asyncio
import random
from collections import Counter

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bookstore.service.metrics import Metrics
from bookstore.service.pulse import pulse
from bookstore.service.requests import RequestMetrics
from bookstore.service.testing.serving import free_port, serving
from bookstore.service.upstream import Upstream

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
JSON = [(b"content-type", b"application/json")]
GOOD, BAD = b'{"name": "a", "price": 1}', b'{"name": "a"}'
MIXTURE = [
    ("GET", "/v2/things/{}", b"", "/v2/things/{thing_id}", 200),
    ("GET", "/v2/things/{}?limit=none", b"", "/v2/things/{thing_id}", 422),
    ("POST", "/v2/things", GOOD, "/v2/things", 201),
    ("POST", "/v2/things", BAD, "/v2/things", 422),
    ("PUT", "/v2/things", GOOD, "<unmatched>", 405),
    ("GET", "/nowhere/{}", b"", "<unmatched>", 404),
    ("GET", "/broken", b"", "/broken", 500),
    ("GET", "/refused", b"", "/refused", 503),
    ("GET", "/health", b"", None, 200),
]
"""Method, target, body, the handler that it counts for, and the status of its answer."""


def _samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def _scraped(client):
    answer = await client.get("/metrics", headers=OPENMETRICS)
    return _samples(answer.text)


async def _flood(client, paths, methods=("GET",)):
    for path in paths:
        for method in methods:
            await client.request(method, path)


async def test_totals_are_exactly_what_the_client_has_counted(make_service):
    """5,000 requests over real connections, eight at a time."""
    chance = random.Random(7)  # noqa: S311 - a mixture, no secret
    waiting = [chance.choice(MIXTURE) for _ in range(5000)]
    requests, durations, by_status = Counter(), Counter(), Counter()

    async def work():
        while waiting:
            method, target, body, handler, status = waiting.pop()
            answer = await upstream.request(
                method, target.format(chance.randrange(10**6)), headers=JSON if body else [], body=body
            )
            assert answer.status == status
            if handler is not None:
                requests[handler, method, f"{answer.status // 100}xx"] += 1
                durations[handler] += 1
                route = "" if handler == "<unmatched>" else handler
                by_status[route, method, str(answer.status)] += 1

    async def counted():
        answer = await upstream.request(
            "GET", "/metrics", headers=[(b"accept", b"application/openmetrics-text")]
        )
        return list(_samples(answer.body.decode()).values())

    def told(samples, name, *labels):
        return {
            tuple(sample.labels[label] for label in labels): sample.value
            for sample in samples
            if sample.name == name and sample.value
        }

    with serving(make_service) as url:
        async with Upstream(url, timeout=30, max_connections=8) as upstream:
            await asyncio.gather(*(work() for _ in range(8)))
            samples = await counted()
            # An answer is on its way a moment before it is counted.
            while sum(told(samples, "http_request_duration_seconds_count", "handler").values()) < sum(
                requests.values()
            ):
                samples = await counted()
    assert told(samples, "http_requests_total", "handler", "method", "status_class") == {**requests}
    buckets = [each for each in samples if each.labels.get("le") == "+Inf"]
    for name, found in (("count", samples), ("bucket", buckets)):
        assert told(found, f"http_request_duration_seconds_{name}", "handler") == {
            (handler,): count for handler, count in durations.items()
        }
    convention = ("http_route", "http_request_method", "http_response_status_code")
    assert told(samples, "http_server_request_duration_seconds_count", *convention) == {**by_status}


async def test_a_thousand_ids_make_no_series_of_their_own(client):
    await client.get("/v2/things/1")
    before = (await _scraped(client)).keys()
    await _flood(client, (f"/v2/things/{number}" for number in range(1000)))
    assert (await _scraped(client)).keys() == before


async def test_a_flood_of_unknown_paths_and_methods_makes_no_series_at_all(client):
    before = (await _scraped(client)).keys()
    methods = ("GET", "POST", "PUT", "DELETE", "PATCH", "BREW", "WHEN")
    await _flood(client, (f"/nowhere/{number}" for number in range(50)), methods)
    after = await _scraped(client)
    assert after.keys() == before
    labels = {"handler": "<unmatched>", "method": "_OTHER", "status_class": "4xx"}
    assert after["http_requests_total", *sorted(labels.items())].value == 100


def test_made_up_methods_take_no_memory():
    metrics = RequestMetrics()
    metrics.observe("/a", "BREW0", 405, 0.1)
    known = len(metrics._times)
    for number in range(1000):
        metrics.observe("/a", f"BREW{number}", 405, 0.1)
    assert len(metrics._times) == known


TRACE = 32 * "a"


@pytest.mark.parametrize(("flags", "kept"), [("01", True), ("00", False), ("03", True)])
@pytest.mark.parametrize("sent", [True, False])
async def test_a_duration_leads_to_its_trace_if_that_was_kept(make_service, connect, flags, kept, sent):
    otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"} if sent else {}
    kept = kept and sent
    traced = {"traceparent": f"00-{TRACE}-{16 * 'c'}-{flags}"}
    async with connect(make_service(otel=otel)) as client:
        await client.get("/v2/things/7", headers=traced)
        samples = (await _scraped(client)).values()
    exemplars = [sample.exemplar for sample in samples if sample.exemplar]
    assert [each.labels for each in exemplars] == ([{"trace_id": TRACE}] if kept else [])


async def test_exemplars_are_left_out_for_who_does_not_ask_for_them(client):
    await client.get("/v2/things/7")
    text = (await client.get("/metrics")).text
    assert "trace_id" not in text


@pytest.mark.parametrize("headers", [{}, OPENMETRICS])
async def test_who_names_samples_is_told_those_alone(client, headers):
    await client.get("/v2/things/7")
    names = {"http_requests_total", "http_request_duration_seconds_bucket", "unheard_of"}
    text = (await client.get("/metrics", headers=headers, params={"name[]": [*names]})).text
    told = {line.partition("{")[0] for line in text.splitlines() if not line.startswith("#")}
    assert told == names - {"unheard_of"}
    whole = (await client.get("/metrics", headers=headers)).text
    assert {line for line in text.splitlines() if not line.startswith("#")} <= set(whole.splitlines())


async def test_who_names_samples_is_not_told_of_requests_that_never_were(client):
    await client.get("/v2/things/7")
    named = (await client.get("/metrics", params={"name[]": "http_requests_total"})).text
    told = [line for line in named.splitlines() if not line.startswith("#")]
    assert told == [
        'http_requests_total{handler="/v2/things/{thing_id}",method="GET",status_class="2xx"} 1.0'
    ]
    assert 'method="POST",status_class="5xx"} 0.0' in (await client.get("/metrics")).text


async def test_what_the_process_tells_of_itself_can_be_named(client):
    text = (await client.get("/metrics", params={"name[]": "process_open_fds"})).text
    assert [line.split()[0] for line in text.splitlines() if line[0] != "#"] == ["process_open_fds"]


def test_the_numbers_of_an_app_can_be_named_too():
    metrics, own = Metrics("shop", "1.0"), CollectorRegistry()
    metrics.registry.register(own)
    Gauge("own", "Of the app.", registry=own).set(7)
    assert metrics.exposition("", ["own"])[0] == b"# HELP own Of the app.\n# TYPE own gauge\nown 7.0\n"


async def test_every_edge_is_a_float_and_those_that_rules_need_are_there():
    text = Metrics("probe", "1").exposition("")[0].decode()
    edges = {line.split('le="')[1].split('"')[0] for line in text.splitlines() if 'le="' in line}
    assert {"0.25", "1.0", "2.5", "+Inf"} <= edges
    assert all("." in edge or edge == "+Inf" for edge in edges)


async def test_requests_under_way_are_counted_while_they_are(make_service):
    service = make_service()
    seen = []

    async def app(*_):
        seen.append(service.metrics.active)

    service.asgi._app = app
    for path in ("/v2/things/7", "/health", "/metrics/"):
        asked = {"method": "GET", "path": path, "headers": [], "scheme": "http", "http_version": "1.1"}
        scope = {"type": "http", **asked}
        await service.asgi(scope, None, None)
    assert seen == [1, 0, 0]
    assert service.metrics.active == 0


async def test_a_loop_that_is_held_up_is_told_of():
    told = []
    heard = asyncio.Event()

    def tell(delay):
        told.append(delay)
        heard.set()

    async with pulse(tell, every=0.001):
        await heard.wait()
        heard.clear()
        until = asyncio.get_running_loop().time() + 0.05
        while asyncio.get_running_loop().time() < until:
            pass
        await heard.wait()
    assert max(told) >= 0.04
    assert min(told) >= 0
    beats = len(told)
    await asyncio.sleep(0.01)
    assert len(told) == beats

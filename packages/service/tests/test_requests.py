"""What every service does with a request, whatever the app: bodies, problems, ids, health, metrics, docs."""

import itertools
import json
import re

import pytest

GOOD = '{"name": "a", "price": 19.99}'
JSON = {"Content-Type": "application/json"}


async def test_money_stays_exact_on_its_way_through(client):
    answer = await client.post("/v2/things", content=GOOD, headers=JSON)
    assert answer.status_code == 201
    assert answer.text == '{"name":"a","price":"19.99","parts":[]}'


@pytest.mark.parametrize("path", ["/v1/things", "/v2/things"])
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "body: missing"),
        (b'{"name": "a", "price": 1', "not valid JSON"),
        (b'{"name": "a", "price": 1} x', "not valid JSON"),
        (b'{"name": "a", "price": NaN}', "not valid JSON"),
        (b'{"name": "\xff", "price": 1}', "not valid JSON"),
        (b'{"name": "\\ud800", "price": 1}', "not valid JSON"),
        (b'\xef\xbb\xbf{"name": "a", "price": 1}', "not valid JSON"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b'{"name": 1, "price": 1}', "name: Expected `str`"),
        (b'{"name": "a"}', "missing required field `price`"),
        (b'{"name": "a", "price": 1, "colour": 1}', "unknown field `colour`"),
        (b'{"name": "a", "price": 1, "name": "b"}', "'name' twice"),
        (b'{"name": "a", "price": 1, "na\\u006de": "b"}', "'name' twice"),
        (b'{"name": "a\\u0000", "price": 1}', "NUL"),
        (b'{"name": "a", "price": 1, "parts": ["x", "\\u0000"]}', "NUL"),
        (b'{"name": "a", "price": 1, "parts": ' + b"[" * 40 + b"]" * 40 + b"}", "nested deeper than 32"),
        (b"[" * 900 + b"]" * 900, "nested deeper than 32"),
    ],
)
async def test_a_body_that_cannot_be_used_is_refused_with_its_reason(client, path, body, says):
    answer = await client.post(path, content=body, headers=JSON)
    assert answer.status_code == (422 if path.startswith("/v2") else 400)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert says in problem["detail"]
    assert problem["type"] == "urn:bookstore:problem:validation"
    assert problem["instance"] == path


@pytest.mark.parametrize("name", ["a\\\\u0000", "[[[[[[" * 20, '\\"[{' * 40])
async def test_text_that_only_looks_dangerous_is_text(client, name):
    body = f'{{"name": "{name}", "price": 1}}'
    answer = await client.post("/v2/things", content=body, headers=JSON)
    assert answer.status_code == 201
    assert answer.json()["name"] == json.loads(f'"{name}"')


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_another_content_type_is_415(client, content_type):
    answer = await client.post("/v1/things", content=GOOD, headers={"Content-Type": content_type})
    assert answer.status_code == 415


async def test_a_compressed_body_is_415_and_told_what_would_be_taken(client):
    for encoding, status in (("gzip", 415), ("br, identity", 415), ("identity", 201), ("", 201)):
        headers = JSON | {"Content-Encoding": encoding}
        answer = await client.post("/v1/things", content=GOOD, headers=headers)
        assert (encoding, answer.status_code) == (encoding, status)
        assert answer.headers.get("accept-encoding") == ("identity" if status == 415 else None)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_the_content_type_may_be_spelt_freely(client, content_type):
    answer = await client.post("/v1/things", content=GOOD, headers={"Content-Type": content_type})
    assert answer.status_code == 201


async def test_a_body_over_the_limit_is_413_with_or_without_its_length(client):
    async def pieces():
        yield b'{"name": "'
        for _ in range(100):
            yield b"a" * 100

    for body in (b'{"name": "' + b"a" * 3000, pieces()):
        answer = await client.post("/v1/things", content=body, headers=JSON)
        assert answer.status_code == 413
        assert answer.json()["type"] == "urn:bookstore:problem:content-too-large"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/no%20where/%C3%A9/100%25", 404),
        ("GET", "/it's/all:here@(home),a=1;b+c!~$*&", 404),
        ("GET", "/docs/nowhere", 404),
        ("GET", "/docs/openapi.json", 404),
        ("GET", "/v2/things/x", 404),
        ("GET", "/v2/things/1?limit=0", 422),
        ("GET", "/v2/things/1?limit=x", 422),
        ("PATCH", "/v1/things", 405),
        ("GET", "/broken", 500),
        ("GET", "/refused", 503),
    ],
)
async def test_every_error_is_a_problem_with_the_ids_of_its_request(client, method, path, status):
    answer = await client.request(method, path, headers={"X-Request-ID": "mine-1"})
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "instance", "request_id", "trace_id"} <= problem.keys()
    assert problem["instance"] == path.partition("?")[0]
    assert problem["request_id"] == answer.headers["x-request-id"] == "mine-1"
    assert problem["trace_id"] == answer.headers["x-trace-id"]
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    if status == 405:
        assert answer.headers["allow"] == "OPTIONS, POST"
    if status == 503:
        assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("host", ["x:y", "x:99999", "x:-1", "[::1", ":", "x:1:2", "x@y", "x:80", ""])
async def test_no_name_for_this_host_is_a_failure_of_the_service(client, host):
    for path, status in (("/nowhere", 404), ("/v2/things/1?limit=0", 422), ("/v2/things/1", 200)):
        answer = await client.get(path, headers={"Host": host})
        assert (path, answer.status_code) == (path, status)
    answer = await client.post("/v1/things", content=b"{}", headers=JSON | {"Host": host})
    assert answer.status_code == 400
    assert answer.json()["instance"] == "/v1/things"


async def _chunks(count):
    for _ in range(count):
        yield b" " * 500


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "closes"),
    [
        ("POST", "/v1/things", b'{"name": "a", "price": 1}', 201, False),
        ("POST", "/v1/things", b"{}", 400, False),
        ("POST", "/v1/things", b" " * 2001, 413, True),
        ("POST", "/v1/things", 9, 413, True),
        ("POST", "/v1/things", 2, 400, False),
        ("POST", "/nowhere", b"{}", 404, True),
        ("POST", "/nowhere", b"", 404, False),
        ("PATCH", "/v1/things", b"{}", 405, True),
        ("GET", "/v2/things/1", b"", 200, False),
        ("GET", "/nowhere", b"", 404, False),
    ],
)
async def test_who_is_answered_before_the_body_was_read_is_told_that_it_was_not(  # noqa: PLR0917
    client, method, path, content, status, closes
):
    content = _chunks(content) if isinstance(content, int) else content
    answer = await client.request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers.get("connection")) == (status, "close" if closes else None)


async def test_where_there_is_get_there_is_head(client):
    answer = await client.delete("/v2/things/1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_a_head_is_a_get_and_a_trailing_slash_is_nothing(client):
    assert (await client.head("/v2/things/1")).status_code == 200
    assert (await client.get("/v2/things/1/")).status_code == 200
    assert (await client.head("/health")).status_code == 200


@pytest.mark.parametrize("given", ["a", "A-z_0.9:x", "x" * 128])
async def test_a_sane_request_id_is_taken_over(client, given):
    answer = await client.get("/whoami", headers={"X-Request-ID": given})
    assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", "{}", "a,b", "é"])
async def test_any_other_request_id_is_replaced(client, given):
    answer = await client.get("/whoami", headers={"X-Request-ID": given.encode()})
    [made] = answer.headers.get_list("x-request-id")
    assert made != given
    assert re.fullmatch(r"[0-9a-f]{32}", made)


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_a_trace_goes_on(client):
    answer = await client.get("/whoami", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert answer.headers["x-trace-id"] == TRACE


@pytest.mark.parametrize(
    "given",
    [
        f"00-{TRACE}-00f067aa0ba902b7",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01-more",
        "rubbish",
    ],
)
async def test_a_broken_trace_context_starts_a_new_trace(client, given):
    answer = await client.get("/whoami", headers={"traceparent": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-trace-id"])
    assert answer.headers["x-trace-id"] != TRACE


async def test_two_trace_contexts_are_none(client):
    """By the recommendation, and so that nobody can put his own behind that of a proxy."""
    mine, other = f"00-{TRACE}-{'b' * 16}-01", f"00-{'c' * 32}-{'d' * 16}-01"
    answer = await client.get("/whoami", headers=[("traceparent", mine), ("traceparent", other)])
    assert answer.headers["x-trace-id"] not in {TRACE, "c" * 32}


async def test_without_traces_there_is_no_trace_id(make_service, connect):
    async with connect(make_service(otel_sdk_disabled=True)) as client:
        answer = await client.get("/nowhere")
    assert "x-trace-id" not in answer.headers
    assert "trace_id" not in answer.json()


async def test_who_am_i(client):
    card = (await client.get("/whoami")).json()
    assert card.keys() == {"service", "version", "hostname", "pid", "instance"}
    assert (card["service"], card["version"]) == ("probe", "1.2.3")
    assert (await client.get("/")).json() == card


async def test_health_names_each_dependency(client, database_switch, books_switch):
    async def ask(path):
        answer = await client.get(path)
        return answer.status_code, answer.json()["status"], answer.json()["services"]

    well = {"database": "healthy", "books": "healthy"}
    assert await ask("/health") == (200, "healthy", well)
    books_switch.well = False
    assert await ask("/health") == (200, "degraded", {**well, "books": "unhealthy"})
    assert await ask("/health/ready") == (200, "healthy", {"database": "healthy"})
    database_switch.hangs = True
    status, said, services = await ask("/health")
    assert (status, said, services["database"]) == (503, "unhealthy", "unhealthy")
    assert (await ask("/health/ready"))[:2] == (503, "unhealthy")
    assert (await client.get("/health/ready")).headers["retry-after"]
    assert (await ask("/health/live"))[:2] == (200, "healthy")


async def test_a_draining_service_is_alive_but_not_ready(make_service, connect):
    service = make_service()
    async with connect(service) as client:
        service.checkup.leaving.set()
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/whoami")).status_code == 200


async def _samples(client, prefix, accept="text/plain"):
    text = (await client.get("/metrics", headers={"Accept": accept})).text
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith(prefix)]
    return {name: float(value) for name, _, value in lines}


async def test_metrics_bear_both_families_of_names_and_start_at_zero(client):
    name = 'http_requests_total{handler="/v2/things/{thing_id}",method="GET",status_class="%s"}'
    assert (await _samples(client, "http_requests_total"))[name % "5xx"] == 0
    await client.get("/v2/things/7")
    samples = await _samples(client, "http_")
    assert samples[name % "2xx"] == 1
    assert samples['http_request_duration_seconds_count{handler="/v2/things/{thing_id}"}'] == 1
    assert samples['http_request_duration_seconds_bucket{handler="/v2/things/{thing_id}",le="1.0"}'] == 1
    convention = (
        'http_request_method="GET",http_response_status_code="200",http_route="/v2/things/{thing_id}"'
    )
    assert samples[f"http_server_request_duration_seconds_count{{{convention}}}"] == 1


async def test_a_head_is_counted_as_what_was_asked(client):
    name = 'http_requests_total{handler="/v2/things/{thing_id}",method="%s",status_class="2xx"}'
    await client.head("/v2/things/7")
    samples = await _samples(client, "http_requests_total")
    assert (samples[name % "HEAD"], samples[name % "GET"]) == (1, 0)


async def test_of_an_event_stream_the_time_to_its_head_counts_and_not_how_long_it_is_watched(
    client, monkeypatch
):
    # Each look at the clock takes a second: one at the start, one at the head, and any at the end would show.
    monkeypatch.setattr("bookstore.service.telemetry.perf_counter", itertools.count().__next__)
    for path in ("/stream", "/v2/things/7"):
        assert (await client.get(path)).status_code == 200
    samples = await _samples(client, "http_request_duration_seconds_sum")
    assert samples['http_request_duration_seconds_sum{handler="/stream"}'] == 1
    assert samples['http_request_duration_seconds_sum{handler="/v2/things/{thing_id}"}'] == 1


async def test_health_and_metrics_are_not_counted(client):
    for path in ("/health", "/health/live", "/health/ready", "/metrics"):
        await client.get(path)
    assert not [name for name in await _samples(client, "http_") if "health" in name or "metrics" in name]


async def test_openmetrics_is_given_to_who_asks(client):
    answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_switches_leave_metrics_and_access_log_out(make_service, connect, capsys):
    async with connect(make_service(metrics_enabled=False, access_log=False)) as client:
        assert (await client.get("/metrics")).status_code == 404
        await client.get("/whoami")
    assert "whoami" not in capsys.readouterr().out


async def test_the_access_log_is_one_json_line_a_request(make_service, connect, capsys):
    async with connect(make_service(instance="probe-1")) as client:
        answer = await client.get("/v2/things/7?limit=3")
        await client.get("/health")
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["trace_id"] == answer.headers["x-trace-id"]
    assert (line["service"], line["instance"]) == ("probe", "probe-1")
    assert (line["method"], line["handler"], line["status"]) == ("GET", "/v2/things/{thing_id}", 200)


async def _answers_nothing(*_):
    """As the gateway does when its client has left."""


@pytest.mark.parametrize(
    ("app", "handler"), [(None, "/v2/things"), (_answers_nothing, "<unmatched>")], ids=["asks", "notices"]
)
async def test_a_client_that_leaves_amid_its_body_is_no_failure_of_the_service(
    make_service, connect, app, handler
):
    service = make_service()
    pieces = iter([{"type": "http.request", "body": b'{"name": "a', "more_body": True}])

    async def receive():
        return next(pieces, {"type": "http.disconnect"})

    async def send(_):
        pass

    headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": "/v2/things", "headers": headers, "query_string": b""}
    scope |= {"http_version": "1.1", "scheme": "http", "server": ("localhost", 80), "raw_path": b"/v2/things"}
    async with connect(service) as client:
        whole, service.asgi._app = service.asgi._app, app or service.asgi._app
        await service.asgi(scope, receive, send)
        service.asgi._app = whole
        counted = await _samples(client, f'http_requests_total{{handler="{handler}",method="POST"')
    assert {name[-6:-2]: count for name, count in counted.items() if count} == {'"4xx': 1}


async def test_the_docs_need_no_other_host(client):
    page = await client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"/docs/page.js", "/docs/page.css", "/openapi.json"} <= set(loaded)
    for path in loaded:
        assert path.startswith("/")
        asset = await client.get(path)
        assert asset.status_code == 200
        assert not re.search(r"https?://", asset.text.replace("http://www.w3.org", ""))
    described = (await client.get("/openapi.json")).json()
    assert "/v2/things/{thing_id}" in described["paths"]
    assert "/metrics" not in described["paths"]

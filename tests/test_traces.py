"""An order's whole life as one trace, from the door to the supplier; and what no trace or log tells."""

import json
import os
import re
import secrets

import httpx
import pytest

from bookstore.service.testing.otlp import tree

from .visitor import LIFE, PASSWORD, SERVICES, edges, visit

TOLD_BY = [*(f"{name}-1" for name in (*SERVICES, "monitor", "playground", "desk")), "supervisor"]
OPS = "ops@bookstore.local"

SWITCHED = """
monitor SERVER POST /v2/monitor/circuits
    monitor CLIENT POST /v2/circuits/books
        orders SERVER POST /v2/circuits/{dependency}
monitor SERVER POST /v2/monitor/faults
    monitor CLIENT POST /faults
"""
"""What a person switches, down to the process that has it. The desk logs, and makes no spans."""


def told(span):
    return f"{span.service} {span.kind} {span.name}"


@pytest.fixture(scope="module")
def life(bookstore, receiver):
    """What came of a visit."""
    trace_id, caller, rows = secrets.token_hex(16), secrets.token_hex(8), bookstore.services()
    secret = visit(rows, trace_id, caller)
    wanted = {child for _, child in edges(LIFE)}
    spans = receiver.wait_for(lambda spans: wanted <= {told(span) for span in spans}, trace_id)
    return {"trace_id": trace_id, "caller": caller, "spans": spans, "secrets": secret, "rows": rows}


@pytest.fixture(scope="module")
def switched(bookstore, receiver):
    """An operator at the console, by every way in, all of it in one trace; gives what came of it."""
    rows, trace_id = bookstore.services(), secrets.token_hex(16)
    password = json.loads((bookstore.state / "credentials.json").read_text())["accounts"][OPS]
    somebody = {"email": OPS, "password": password}
    accounts, monitor = rows["accounts-1"]["url"], rows["monitor-1"]["url"]
    url = f"{monitor}/v2/monitor"
    with httpx.Client(timeout=20, trust_env=False) as client:
        client.headers["traceparent"] = f"00-{trace_id}-{secrets.token_hex(8)}-01"
        tokens = client.post(f"{accounts}/auth/login", json=somebody).raise_for_status().json()
        refresh = {"refresh_token": tokens["refresh_token"]}
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        told_once = client.post(f"{url}/tickets", json=refresh, headers=bearer).raise_for_status().json()
        ticket = {"ticket": told_once["ticket"]}
        assert client.post(f"{url}/session", json={**somebody, "password": PASSWORD}).status_code == 401
        signed_in = [client.post(f"{url}/session", json=how).raise_for_status() for how in (somebody, ticket)]
        cookies = [cookie for answer in signed_in for cookie in answer.cookies.values()]
        assert len(cookies) == 2
        circuit = {"service": "orders", "dependency": "books", "action": "reset"}
        client.post(f"{url}/circuits", json=circuit).raise_for_status()
        fault = {"service": "playground", "kind": "process", "mode": "freeze", "seconds": 600}
        on = client.post(f"{url}/faults", json=fault).raise_for_status().json()
        client.delete(f"{url}/faults/{on['id']}").raise_for_status()
        assert client.post(f"{url}/try", json={"what": "buy"}).raise_for_status().json()
        with client.stream("GET", f"{url}/events") as events:
            next(events.iter_lines())
    wanted = {child for _, child in edges(SWITCHED)}
    spans = receiver.wait_for(lambda spans: wanted <= {told(span) for span in spans}, trace_id)
    secret = [OPS, *somebody.values(), tokens["access_token"], tokens["refresh_token"], *ticket.values()]
    return {"trace_id": trace_id, "spans": spans, "secrets": [*secret, *cookies]}


def parentage(spans):
    """Each of them as a line, with the line that it stands under."""
    known = {span.span_id: span for span in spans}
    return {(told(known[span.parent_id]) if span.parent_id in known else "", told(span)) for span in spans}


def test_an_order_is_one_trace(life):
    assert edges(LIFE) <= parentage(life["spans"]), tree(life["spans"])
    # Whatever has no parent here was asked for by the caller.
    known = {span.span_id for span in life["spans"]}
    assert {span.parent_id for span in life["spans"] if span.parent_id not in known} == {life["caller"]}


def test_what_is_switched_is_one_trace_and_stands_in_the_log_of_the_desk(bookstore, switched):
    assert edges(SWITCHED) <= parentage(switched["spans"]), tree(switched["spans"])
    lines = [json.loads(line) for line in log_of(bookstore, "desk-1") if line.startswith("{")]
    mine = [line["message"] for line in lines if line.get("trace_id") == switched["trace_id"]]
    assert mine == ["process freeze of playground for 600 s", "process freeze of playground is over"]


def test_what_was_refused_is_told_where_it_was_refused(life):
    refused = [span for span in life["spans"] if span.attributes.get("http.response.status_code") == 404]
    kinds = {(span.service, span.kind, span.status) for span in refused}
    assert {("gateway", "SERVER", "UNSET"), ("gateway", "CLIENT", "ERROR")} <= kinds
    assert ("orders", "SERVER", "UNSET") in kinds


def test_a_message_is_linked_to_where_it_was_made(life):
    made = next(span for span in life["spans"] if span.kind == "PRODUCER")
    processed = [span for span in life["spans"] if span.kind == "CONSUMER"]
    assert {span.parent_id for span in processed} == {made.span_id}
    assert all([link.span_id for link in span.links] == [made.span_id] for span in processed)


def test_names_hold_no_ids_and_every_sender_is_known(receiver, life):
    name = re.compile(r"(GET|POST|PUT|DELETE|HEAD|PATCH|OPTIONS)( /[a-z0-9_.{}/-]*)?")
    for span in life["spans"]:
        if "http.request.method" in span.attributes:
            assert name.fullmatch(span.name), span.name
            assert not re.search(r"/\d|[0-9a-f]{8}-", span.name), span.name
    for span in receiver.spans:
        assert {"service.name", "service.version", "service.instance.id"} <= span.resource.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_gives_every_signal(bookstore, receiver, life, service):
    senders = {span.resource["service.instance.id"] for span in receiver.spans if span.service == service}
    assert f"{service}-1" in senders
    url = life["rows"]["supplier-control-1" if service == "supplier" else f"{service}-1"]["url"]
    metrics = httpx.get(f"{url}/metrics", trust_env=False).text
    assert "http_requests_total{" in metrics
    lines = [json.loads(line) for line in log_of(bookstore, f"{service}-1") if line.startswith("{")]
    mine = [line for line in lines if line.get("trace_id") == life["trace_id"]]
    known = {span.span_id for span in life["spans"]}
    if service != "orders-worker":  # it has nothing to say where all goes well
        assert mine
    for line in mine:
        assert line["service"] == service
        assert line["request_id"]
        assert line["span_id"] in known


def log_of(bookstore, instance):
    return (bookstore.state / "logs" / f"{instance}.log").read_text(errors="replace").splitlines()


def test_no_secret_is_told(bookstore, receiver, life, switched):
    credentials = json.loads((bookstore.state / "credentials.json").read_text())
    words = [*life["secrets"], *switched["secrets"], *passwords(credentials)]
    assert credentials["passwords"]["desk"] in words
    sent = "\n".join(repr((span, span.resource)) for span in receiver.spans)
    logged = "\n".join(path.read_text(errors="replace") for path in (bookstore.state / "logs").iterdir())
    for word in words:
        assert word not in sent
        assert word not in logged
    told_by_services = "\n".join(line for name in TOLD_BY for line in log_of(bookstore, name))
    for everything in (sent, told_by_services):
        assert not re.search(r"Bearer (?!\[hidden\])|eyJ[A-Za-z0-9_-]{8}|argon2", everything)
        assert not re.search(r"(?i)\b(VALUES\s*\(|WHERE\s+\S+\s*=|SET\s+\w+\s*=\s*')", everything)
        assert not re.search(r"[\w.+-]+@[\w-]+\.\w+", everything)


def passwords(value):
    """Every text below what `credentials.json` calls a password or a secret."""
    if isinstance(value, dict):
        return [word for each in value.values() for word in passwords(each)]
    if isinstance(value, list):
        return []
    return [value] if isinstance(value, str) and len(value) >= 12 and "@" not in value else []


@pytest.mark.skipif("JAEGER_QUERY_URL" not in os.environ, reason="no Jaeger is given (JAEGER_QUERY_URL)")
def test_jaeger_finds_the_trace(life, receiver, eventually):
    otlp = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    for request in receiver.requests:
        httpx.post(
            f"{otlp}/v1/traces", content=request.body, headers={"content-type": "application/x-protobuf"}
        ).raise_for_status()
    query = f"{os.environ['JAEGER_QUERY_URL']}/api/traces/{life['trace_id']}"
    wanted = {span.span_id for span in life["spans"]}

    def found():
        answer = httpx.get(query)
        if answer.status_code != 200:
            return None
        (trace,) = answer.json()["data"]
        return trace if wanted <= {span["spanID"] for span in trace["spans"]} else None

    trace = eventually(found)
    assert {process["serviceName"] for process in trace["processes"].values()} >= set(SERVICES)
    names = {span["operationName"] for span in trace["spans"]}
    assert {span.name for span in life["spans"]} <= names

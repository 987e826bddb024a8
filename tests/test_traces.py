"""An order's whole life as one trace, from the door to the supplier; and what no trace or log tells."""

import json
import os
import re
import secrets

import httpx
import pytest

from bookstore.service.testing.otlp import tree

PASSWORD = "correct horse battery"
SERVICES = ["accounts", "books", "gateway", "orders", "orders-worker", "supplier"]

LIFE = """
gateway SERVER POST /v1/orders
    gateway CLIENT POST /v1/orders
        orders SERVER POST /v1/orders
            orders CLIENT POST /inventory/reservations
                books SERVER POST /inventory/reservations
                    books CLIENT INSERT reservations reservation_lines books
            orders CLIENT INSERT orders order_lines order_events reservations ledger
            orders PRODUCER create bookstore:validations
                orders-worker CLIENT send bookstore:validations
                orders-worker CONSUMER process bookstore:validations
                    orders-worker CLIENT POST /validate
                        supplier SERVER POST /validate
                orders-worker CLIENT send bookstore:settlements
                orders-worker CONSUMER process bookstore:settlements
                    orders-worker CLIENT POST /inventory/reservations/{id}/commit
                        books SERVER POST /inventory/reservations/{reservation_id}/commit
                            books CLIENT UPDATE books
gateway SERVER GET /v1/customers
    gateway CLIENT GET /v1/customers
        accounts SERVER GET /v1/customers/{customer_id}
            accounts CLIENT SELECT customers
"""
"""Each span, below its parent. There may be more: keys that are fetched, what a cache is told."""


def edges(picture):
    """The lines of a picture, each with the line that it stands under."""
    above, found = {}, set()
    for line in filter(None, picture.splitlines()):
        depth = (len(line) - len(line.lstrip())) // 4
        above[depth] = line.strip()
        found.add((above.get(depth - 1, "") if depth else "", line.strip()))
    return found


def told(span):
    return f"{span.service} {span.kind} {span.name}"


@pytest.fixture(scope="module")
def life(bookstore, receiver):
    """A customer who orders a book, all of it in one trace; gives what came of it."""
    trace_id, caller = secrets.token_hex(16), secrets.token_hex(8)
    email = f"ana-{secrets.token_hex(4)}@example.com"
    rows = bookstore.services()
    with httpx.Client(timeout=20, trust_env=False) as client:
        new = {"title": "Traces", "author": "A. Visitor", "price": "9.99", "stock": 5}
        book = client.post(f"{rows['books-1']['url']}/v2/books", json=new).raise_for_status().json()
        somebody = {"email": email, "password": PASSWORD}
        client.headers["traceparent"] = f"00-{trace_id}-{caller}-01"
        client.headers["baggage"] = f"session.id=s1,user={email}"
        accounts, gateway = rows["accounts-1"]["url"], rows["gateway-1"]["url"]
        client.post(f"{accounts}/auth/register", json={**somebody, "name": "Ana"}).raise_for_status()
        token = client.post(f"{accounts}/auth/login", json=somebody).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        me = client.get(f"{accounts}/auth/me").json()["customer_id"]
        client.get(f"{gateway}/v1/customers/{me}?e={email}").raise_for_status()
        order = client.post(f"{gateway}/v1/orders", json={"book_id": book["id"], "quantity": 1})
        assert order.status_code == 201, order.text
        assert order.headers["x-trace-id"] == trace_id
        refused = client.post(f"{gateway}/v1/orders", json={"book_id": 10**12, "quantity": 1})
        assert refused.json()["trace_id"] == trace_id
    wanted = {child for _, child in edges(LIFE)}
    spans = receiver.wait_for(lambda spans: wanted <= {told(span) for span in spans}, trace_id)
    secret = [email, email.replace("@", "%40"), PASSWORD, token, token.rpartition(".")[2]]
    return {"trace_id": trace_id, "caller": caller, "spans": spans, "secrets": secret, "rows": rows}


def test_an_order_is_one_trace(life):
    spans = {span.span_id: span for span in life["spans"]}
    found = {
        (told(spans[span.parent_id]) if span.parent_id in spans else "", told(span))
        for span in spans.values()
    }
    assert edges(LIFE) <= found, tree(life["spans"])
    # Whatever has no parent here was asked for by the caller.
    assert {span.parent_id for span in spans.values() if span.parent_id not in spans} == {life["caller"]}


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


def test_no_secret_is_told(bookstore, receiver, life):
    credentials = json.loads((bookstore.state / "credentials.json").read_text())
    words = [*life["secrets"], *passwords(credentials)]
    assert len(words) > len(life["secrets"])
    sent = "\n".join(repr((span, span.resource)) for span in receiver.spans)
    logged = "\n".join(path.read_text(errors="replace") for path in (bookstore.state / "logs").iterdir())
    for word in words:
        assert word not in sent
        assert word not in logged
    told_by_services = "\n".join(line for service in SERVICES for line in log_of(bookstore, f"{service}-1"))
    for everything in (sent, told_by_services):
        assert not re.search(r"Bearer (?!\[hidden\])|eyJ[A-Za-z0-9_-]{8}|argon2", everything)
        assert not re.search(r"(?i)\b(VALUES\s*\(|WHERE\s+\S+\s*=|SET\s+\w+\s*=\s*')", everything)
    assert not re.search(r"[\w.+-]+@[\w-]+\.\w+", sent)


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

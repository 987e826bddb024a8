"""A customer who orders a book, all of it in one trace."""

import secrets

import httpx

PASSWORD = "correct horse battery"
SERVICES = ["accounts", "books", "gateway", "orders", "orders-worker", "supplier"]
"""Those that take part."""

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
                            books CLIENT UPDATE reservations books
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


def visit(services, trace_id, caller):
    """Go there, where these services are; gives what nobody may tell."""
    email = f"ana-{secrets.token_hex(4)}@example.com"
    somebody = {"email": email, "password": PASSWORD}
    accounts, gateway = services["accounts-1"]["url"], services["gateway-1"]["url"]
    with httpx.Client(timeout=20, trust_env=False) as client:
        new = {"title": "Traces", "author": "A. Visitor", "price": "9.99", "stock": 5}
        book = client.post(f"{services['books-1']['url']}/v2/books", json=new).raise_for_status().json()
        client.headers["traceparent"] = f"00-{trace_id}-{caller}-01"
        client.headers["baggage"] = f"session.id=s1,user={email}"
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
    return [email, email.replace("@", "%40"), PASSWORD, token, token.rpartition(".")[2]]

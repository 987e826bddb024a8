import secrets
import pytest
from bookstore.service.testing.otlp import tree

PASSWORD = "correct horse battery"

@pytest.fixture
def customer(bookstore, client):
    email = f"trace-{secrets.token_hex(4)}@example.com"
    accounts = bookstore.url("accounts-1")
    somebody = {"email": email, "password": PASSWORD}
    client.post(f"{accounts}/auth/register", json={**somebody, "name": "Somebody"}).raise_for_status()
    token = client.post(f"{accounts}/auth/login", json=somebody).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return token

def test_x(bookstore, client, customer, receiver):
    trace = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
    gateway = bookstore.url("gateway-1")
    book = client.post(f"{bookstore.url('books-1')}/v2/books", json={"title":"T","author":"A","price":"9.99","stock":9}).json()
    answer = client.post(f"{gateway}/v1/orders", json={"book_id": book["id"], "quantity": 1}, headers=headers)
    print(answer.status_code, answer.text, answer.headers)
    try:
        spans = receiver.wait_for(lambda s: sum(x.kind == "CONSUMER" for x in s) >= 2, trace)
    except TimeoutError as e:
        print(e)
    import time; time.sleep(1)
    print(tree(receiver.trace(trace)))
    for s in receiver.trace(trace): print(s)
    print(tree(receiver.spans))
    assert 0

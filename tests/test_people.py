"""People in the whole system: the walk-throughs of customers, and those who work here."""

import json
import secrets
from pathlib import Path

import pytest

PASSWORD = "correct horse battery"


@pytest.fixture
def gateway(bookstore):
    return bookstore.url("gateway-1")


@pytest.fixture
def email():
    return f"ana-{secrets.token_hex(4)}@example.com"


@pytest.fixture
def log_in(client, bookstore):
    """Log in, and give the header for it. Not at the gateway: it lets an address in 20 times a minute."""
    accounts = bookstore.url("accounts-1")

    def log_in(email, password):
        answer = client.post(f"{accounts}/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    return log_in


@pytest.fixture
def workers(bookstore, log_in):
    """Headers of those whom `up` has made, by what stands before the @."""
    file = Path(bookstore.status()["credentials_file"])
    assert file.stat().st_mode & 0o777 == 0o600
    known = json.loads(file.read_text())["accounts"]
    return {email.partition("@")[0]: log_in(email, password) for email, password in known.items()}


def test_register_log_in_and_use_the_token(client, gateway, email):
    registration = {"email": email, "password": PASSWORD, "name": "Ana"}
    assert client.post(f"{gateway}/auth/register", json=registration).status_code == 201
    assert client.post(f"{gateway}/auth/register", json=registration).status_code == 409

    tokens = client.post(f"{gateway}/auth/login", json={"email": email, "password": PASSWORD}).json()
    form = client.post(f"{gateway}/auth/login", data={"username": email, "password": PASSWORD}).json()
    assert tokens.keys() == form.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}

    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert client.get(f"{gateway}/auth/me", headers=bearer).json()["email"] == email
    assert client.get(f"{gateway}/auth/me").status_code == 401

    book = client.get(f"{gateway}/v1/books?limit=1").json()[0]["id"]
    wish = {"book_id": book, "quantity": 1}
    assert client.post(f"{gateway}/v1/orders", json=wish, headers=bearer).status_code == 201
    forged = {"Authorization": bearer["Authorization"][:-3] + "AAA"}
    assert client.get(f"{gateway}/auth/me", headers=forged).status_code == 401

    def refresh():
        return client.post(f"{gateway}/auth/refresh", json={"refresh_token": tokens["refresh_token"]})

    assert [refresh().status_code, refresh().status_code] == [200, 401]


def test_a_customer_is_made_and_orders(client, gateway, workers, email):
    """The walk-through has the addresses with a slash at their end."""
    new = {"name": "Ana", "email": email}
    made = client.post(f"{gateway}/v1/customers/", json=new, headers=workers["staff"])
    assert made.status_code == 201, made.text
    customer = made.json()
    assert (customer["name"], customer["email"]) == ("Ana", email)
    assert made.headers["location"] == f"/v1/customers/{customer['id']}"
    again = client.post(f"{gateway}/v1/customers/", json=new, headers=workers["staff"])
    assert (again.status_code, again.json()["type"]) == (409, "urn:bookstore:problem:email-taken")

    one = f"{gateway}/v1/customers/{customer['id']}"
    assert client.get(one, headers=workers["staff"]).json() == customer
    listed = client.get(f"{gateway}/v1/customers/", headers=workers["staff"]).json()
    assert customer in listed
    changed = client.put(one, json={"name": "Ana B"}, headers=workers["staff"]).json()
    assert changed == {**customer, "name": "Ana B", "updated_at": changed["updated_at"]}

    book = {"title": "Ana's", "author": "Ana", "price": "9.99"}
    book_id = client.post(f"{gateway}/v1/books/", json=book, headers=workers["staff"]).json()["id"]
    order = client.post(
        f"{gateway}/v1/orders/", json={"book_id": book_id, "quantity": 1}, headers=workers["staff"]
    )
    assert order.status_code == 201, order.text
    assert order.json()["job_id"]
    ids = [each["id"] for each in client.get(f"{gateway}/v1/orders/", headers=workers["staff"]).json()]
    assert order.json()["id"] in ids

    assert client.delete(one, headers=workers["staff"]).status_code == 204
    assert client.delete(one, headers=workers["staff"]).status_code == 404


def test_the_services_own_ports_take_plain_requests(bookstore, client, email):
    accounts = bookstore.url("accounts-1")
    made = client.post(f"{accounts}/v1/customers/", json={"name": "Ana", "email": email})
    assert made.status_code == 201
    assert client.get(f"{accounts}{made.headers['location']}").json() == made.json()


def test_those_who_work_here_are_who_they_should_be(client, gateway, workers):
    told = {name: client.get(f"{gateway}/auth/me", headers=headers) for name, headers in workers.items()}
    assert {name: answer.json()["roles"] for name, answer in told.items()} == {
        "ops": ["ops"],
        "staff": ["staff"],
    }


def test_the_command_makes_further_ones_and_shows_the_keys(bookstore, client, gateway, email, log_in):
    create = ("accounts", "create-user", "--email", email, "--role", "staff", "--generate")
    made = bookstore.run(*create)
    assert made.returncode == 0, made.stderr
    headers = log_in(email, made.stdout.splitlines()[1].removeprefix("password: "))
    assert client.get(f"{gateway}/auth/me", headers=headers).json()["roles"] == ["staff"]
    assert bookstore.run(*create).returncode == 1

    listed = bookstore.run("accounts", "keys", "list").stdout.splitlines()
    published = client.get(f"{gateway}/.well-known/jwks.json").json()["keys"]
    assert [line.split()[0] for line in listed[1:]] == [key["kid"] for key in published]

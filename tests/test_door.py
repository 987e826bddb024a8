"""Two guides that others have written, step by step at the gateway."""

import json
import os
import re
import signal
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def base(bookstore):
    return bookstore.url("gateway-1")


@contextmanager
def stopped(bookstore, *instances):
    """While the block runs these processes are frozen: they take connections, and never answer."""
    pids = [bookstore.services()[instance]["pid"] for instance in instances]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def from_address(number):
    """Somebody else: loopback is trusted to say for whom it asks."""
    return {"X-Forwarded-For": f"198.51.100.{number}"}


def until_shared(ask):
    """What `ask` gives for somebody new, as soon as Redis was there in time for all of it."""
    for number in range(1, 10):
        answers = ask(from_address(number))
        if not any("x-ratelimit-mode" in answer.headers for answer in answers):
            return answers
    raise AssertionError("Redis was never there in time")


def test_paths_are_stripped_or_kept(client, base):
    """The first guide's step 2; for the first see below."""
    drugs = client.get(f"{base}/catalog/drugs")
    assert drugs.status_code == 200
    assert drugs.json() == client.get(f"{base}/v1/books").json()
    assert client.get(f"{base}/inventory/health").status_code == 200


def test_a_hundred_a_minute(client, base):
    """Step 3: 110 requests in quick succession."""
    answers = until_shared(lambda who: [client.get(f"{base}/catalog/", headers=who) for _ in range(110)])
    assert [answer.status_code for answer in answers] == [200] * 100 + [429] * 10
    refused = answers[-1]
    assert refused.json()["detail"] == "API rate limit exceeded"
    assert 0 < int(refused.headers["retry-after"]) <= 60


def test_stock_is_told_while_books_is_away(client, base, bookstore, eventually):
    """Step 4."""
    someone = {"email": "guide@example.com", "password": PASSWORD}
    assert client.post(f"{base}/auth/register", json={**someone, "name": "Ana"}).status_code == 201
    token = client.post(f"{base}/auth/login", json=someone).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    book = client.get(f"{base}/v1/books?limit=1").json()[0]["id"]
    url = f"{base}/orders/check-inventory/{book}"
    assert client.get(url).status_code == 401
    known = eventually(lambda: (answer := client.get(url, headers=bearer).json()).get("source") and answer)
    assert known["source"] == "service"
    with stopped(bookstore, "books-1"):
        answer = client.get(url, headers=bearer)
        assert (answer.status_code, answer.json()) == (200, {**known, "source": "redis_cache"})
    eventually(lambda: client.get(f"{base}/v1/books/{book}").status_code == 200)
    eventually(lambda: client.get(url, headers=bearer).json().get("source") == "service")


def test_the_sixth_is_refused_at_once(client, base):
    """Step 5."""
    url = f"{base}/inventory/test-circuit-breaker"
    slow = [client.get(url) for _ in range(5)]
    at_once = client.get(url)
    assert {answer.status_code for answer in [*slow, at_once]} == {503}
    assert "Circuit breaker open" in at_once.text
    assert not any("Circuit breaker open" in answer.text for answer in slow)
    assert at_once.elapsed < min(answer.elapsed for answer in slow)


def test_ten_a_minute_for_an_address(client, base):
    """The second guide: `for i in $(seq 1 12)`."""
    answers = until_shared(lambda who: [client.get(f"{base}/products/", headers=who) for _ in range(12)])
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert answers[-1].json()["detail"] == "API rate limit exceeded"
    assert "retry-after" in answers[-1].headers


def test_operators_with_the_scope_for_it_have_no_limit(client, base, bookstore):
    """From the command that fetches the token to the gateway that lets it through."""
    file = json.loads(Path(bookstore.status()["credentials_file"]).read_text())
    email = "ops@bookstore.local"
    words = ("accounts", "token", "--email", email, "--password-stdin", "--scope", "load")
    said = bookstore.run(*words, typed=f"{file['accounts'][email]}\n")
    assert said.returncode == 0, said.stderr
    token = said.stdout.strip()
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token)
    headers = {"Authorization": f"Bearer {token}", **from_address(99)}
    answers = [client.get(f"{base}/catalog/", headers=headers) for _ in range(110)]
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.long
def test_replicas(client, private_bookstore):
    """The first guide's step 1, requests over replicas; step 3 at two gateways that count together."""
    private_bookstore.up("--replicas", "books=2", "--replicas", "gateway=2")
    services = private_bookstore.services()
    gateways = [services[name]["url"] for name in ("gateway-1", "gateway-2")]
    cards = [client.get(f"{gateways[number % 2]}/catalog/").json() for number in range(40)]
    seen = Counter(card["instance"] for card in cards)
    assert len(seen) == 2
    assert min(seen.values()) >= 4
    assert {card["hostname"] for card in cards} == {os.uname().nodename}

    answers = until_shared(
        lambda who: [client.get(f"{gateways[number % 2]}/catalog/", headers=who) for number in range(110)]
    )
    assert Counter(answer.status_code for answer in answers) == {200: 100, 429: 10}


def test_load_comes_in_by_the_front_door_of_a_system_that_it_knows_nothing_else_of(bookstore, tmp_path):
    asked = ("load", "--state", str(tmp_path), "--gateway", bookstore.url("gateway-1"), "--json")
    result = bookstore.run(*asked, "--orders", "3", "--rate", "3")
    assert result.returncode in {0, 2}, result.stderr  # 2: this machine was too busy to tell
    assert json.loads(result.stdout)["summary"]["statuses"] == {"201": 3}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gateway", "http://localhost:1", "--mode", "slow"), "Leave out --mode"),
        (("--gateway", "http://192.0.2.1:8080"), "isn't this machine"),
    ],
)
def test_load_is_refused_where_it_is_nobodys_business(bookstore, tmp_path, words, said):
    result = bookstore.run("load", "--state", str(tmp_path), *words)
    assert result.returncode
    assert said in result.stderr

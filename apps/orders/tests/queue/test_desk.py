"""An operator's verbs, over HTTP and as commands; how much work orders takes on; and an order's whole way."""

# ruff: noqa: PLR0917, ARG001 - fixtures

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bookstore.orders.queue import commands

ONE = {"items": [{"book_id": 1, "quantity": 2}]}


@pytest.fixture
def house(database_url, books, run_orders):
    with run_orders(database_url, books.url) as client:
        yield client


@pytest.fixture
def worker(run_worker, books):
    """Which settles at the same books that the orders service reserves at."""
    with run_worker(books_service_url=books.url) as worker:
        yield worker


@pytest.fixture
def command(database_url, monkeypatch, capsys):
    """Run `orders queue ...`; gives its exit code and what it says, read as JSON if that was asked for."""
    monkeypatch.setenv("DATABASE_URL", database_url)

    def run(*words):
        try:
            code = commands.main(words)
        except SystemExit as wrong_usage:
            code = wrong_usage.code
        said = capsys.readouterr().out
        return code, json.loads(said) if "--json" in words else said

    return run


def _ends(house, order, state, eventually):
    path = f"/v2/orders/{order['id']}"
    return eventually(lambda: (found := house.get(path).json())["status"] == state and found)


def test_an_order_goes_its_whole_way(house, worker, books, outside, eventually):
    order = house.post("/v2/orders", json=ONE).json()
    found = _ends(house, order, "Validated", eventually)
    assert found["job_id"] == order["job_id"]
    events = house.get(f"/v2/orders/{order['id']}/history").json()["events"]
    assert [event["to"] for event in events] == ["Processing", "Validated"]
    eventually(lambda: [state for state, _ in books.reservations.values()] == ["committed"])
    assert outside.questions[order["id"]]["items"] == ONE["items"]


def test_what_failed_is_redriven_fails_again_and_is_redriven_again(
    house, worker, books, outside, check_problem, eventually
):
    outside.mode = "refused"
    order = house.post("/v2/orders", json=ONE).json()
    _ends(house, order, "Failed", eventually)
    eventually(lambda: [state for state, _ in books.reservations.values()] == ["released"])
    [dead] = house.get("/v1/queue/dead").json()["data"]
    assert (dead["id"], dead["state"], dead["order_status"]) == (order["job_id"], "dead", "Failed")

    assert house.post(f"/v1/queue/jobs/{dead['id']}/redrive").json() == {"redriven": 1}
    again = eventually(lambda: house.get("/v1/queue/dead").json()["data"])
    assert [job["id"] > dead["id"] for job in again] == [True]
    check_problem(house.post(f"/v1/queue/jobs/{dead['id']}/redrive"), 409, "not-dead")

    outside.mode = "normal"
    assert house.post("/v1/queue/redrive").json() == {"redriven": 1}
    found = _ends(house, order, "Validated", eventually)
    history = house.get(f"/v1/queue/jobs/{found['job_id']}").json()
    assert [job["state"] for job in history["jobs"] if job["kind"] == "validate"] == [
        "redriven",
        "redriven",
        "done",
    ]
    assert [event["to_state"] for event in history["events"]] == [
        "Processing", "Failed", "Processing", "Failed", "Processing", "Validated"
    ]  # fmt: skip
    # Each time with stock of its own.
    eventually(
        lambda: (
            sorted(state for state, _ in books.reservations.values()) == ["committed", "released", "released"]
        )
    )


def test_what_cannot_have_its_stock_again_is_not_asked_for(run_worker, book, outside, house, eventually):
    outside.mode = "refused"
    with run_worker():
        [order] = book.place(reserve=outside)
        book.settled()
        outside.mode, outside.books_mode, outside.calls[order] = "normal", "sold_out", 0
        assert house.post("/v1/queue/redrive").json() == {"redriven": 1}
        eventually(lambda: book.changes()[order] == 3)
    assert book.states() == ["Failed"]
    assert outside.calls[order] == 0
    cause = house.get("/v1/queue/dead").json()["data"][0]["cause"]
    assert cause == "its stock can't be reserved again (status 409)"


def test_dead_settlements_are_tried_again_in_their_own_row(run_worker, book, outside, house):
    book.place(reserve=outside)
    outside.reservations = dict.fromkeys(outside.reservations, "released")
    with run_worker():
        book.settled()
        assert house.get("/v1/queue").json()["kinds"]["settle"]["dead"] == 1
        outside.reservations = dict.fromkeys(outside.reservations, "held")
        assert house.post("/v1/queue/redrive").json() == {"redriven": 1}
        book.settled()
    assert set(outside.reservations.values()) == {"committed"}


def test_the_verbs_as_commands(house, worker, outside, command, eventually):
    outside.mode = "refused"
    order = house.post("/v2/orders", json=ONE).json()
    _ends(house, order, "Failed", eventually)
    job = str(order["job_id"])
    assert command("status", "--json")[1]["kinds"]["validate"]["dead"] == 1
    assert [each["id"] for each in command("dead", "--json")[1]] == [order["job_id"]]
    assert "Failed" in command("dead")[1]
    assert len(command("show", job, "--json")[1]["events"]) == 2
    assert "Processing -> Failed" in command("show", job)[1]
    assert command("show", "99999")[0] == 1
    assert command("redrive")[0] == 2
    assert command("redrive", job, "--json") == (0, {"redriven": 1})
    assert command("redrive", job, "--json") == (1, {"redriven": 0})  # it is in work
    assert command("purge", job, job, "99999")[0] == 1
    eventually(lambda: house.get("/v1/queue/dead").json()["total"] == 1)
    assert command("purge", "--all", "--json") == (0, {"purged": 1})
    assert command("redrive", "--all", "--json") == (0, {"redriven": 0})
    assert command("pause", "--json")[1]["paused_since"] is not None
    outside.mode = "normal"
    waiting = house.post("/v2/orders", json=ONE).json()
    assert "paused since" in command("status")[1]
    assert command("resume", "--json")[1]["paused_since"] is None
    _ends(house, waiting, "Validated", eventually)


def test_a_command_without_a_database_says_so(tmp_path):
    for url, said in (("", "DATABASE_URL"), ("postgresql://127.0.0.1:1/x", "not answering")):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "bookstore.orders", "queue", "status"],
            env={"PATH": os.environ["PATH"], "DATABASE_URL": url},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (1 if url else 2)
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


READS = ["/v1/queue", "/v1/queue/dead", "/v1/queue/jobs/1"]
DEEDS = ["redrive", "purge", "pause", "resume", "jobs/1/redrive", "jobs/1/purge"]


def test_the_desk_is_for_those_who_run_the_system(database_url, books, run_orders, accounts, check_problem):
    with run_orders(database_url, books.url, accounts_service_url=accounts.url, auth_required=True) as client:
        calls = [("GET", path) for path in READS] + [("POST", f"/v1/queue/{deed}") for deed in DEEDS]
        for who, status in (
            ({}, 401),
            (accounts.bearer("customer"), 403),
            (accounts.bearer("staff", sub="2", customer_id=None), 403),
        ):
            for method, path in calls:
                check_problem(client.request(method, path, headers=who), status)
        ops = accounts.bearer("ops", sub="3", customer_id=None)
        assert client.get("/v1/queue", headers=ops).status_code == 200
        check_problem(client.get("/v1/queue/jobs/1", headers=ops), 404)
        check_problem(client.get("/v1/queue/dead?limit=1e1", headers=ops), 400)


def test_more_orders_than_can_be_owed_are_refused_before_anything_is_done(
    database_url, books, run_orders, run_worker, book, check_problem, eventually
):
    with run_orders(database_url, books.url, orders_max_unfinished=5) as client:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.post("/v2/orders", json=ONE), range(12)))
        assert sorted(answer.status_code for answer in answers) == [201] * 5 + [503] * 7
        for answer in answers:
            if answer.status_code == 503:
                check_problem(answer, 503, "queue-full")
        assert len(books.reservations) == book.unfinished() == 5
        eventually(lambda: client.get("/health").json()["queue"]["unfinished"] == 5)
        text = client.get("/metrics").text
        assert 'bookstore_queue_depth{kind="validate"} 5.0' in text
        with run_worker(books_service_url=books.url):
            eventually(lambda: client.post("/v2/orders", json=ONE).status_code == 201)

"""Circuits, switched process by process: one that is slow, frozen, gone or strange delays no other."""

import json
import time

import pytest

from bookstore.service.testing.problems import check_problem

from .stand import answer

URL = "/v2/monitor/circuits"
ORDER = {"service": "books", "dependency": "redis", "action": "force_open"}
OPENED = answer(
    200,
    b'{"dependency":"redis","state":"forced_open","calls":0,"failures":0,"failure_rate":null,"rejected":0}',
)
PATH = "/v2/circuits/redis"


@pytest.fixture
def books(stand):
    return [stand(**{PATH[1:]: OPENED}) for _ in range(3)]


@pytest.fixture
def switch(watched, accounts, books, stand):
    """Switches circuits of three books, a gateway with and one without an admin port."""
    admin, gateway = stand(**{PATH[1:]: OPENED}), stand()
    monitor = watched(
        {"accounts_service_url": accounts.url, "gateway_admin_url": admin.url},
        books=",".join(each.url for each in books),
        gateway=f"{gateway.url},{stand().url}",
    )

    def switch(**changes):
        return monitor.post(URL, json=ORDER | changes, headers=accounts.bearer("ops"))

    switch.admin, switch.gateway = admin, gateway
    return switch


def posted(stand):
    return [request for request in stand.asked if request.method == "POST"]


def test_in_every_process_in_that_persons_name(switch, books):
    rows = switch().json()["data"]
    assert [(row["instance"], row["state"], row["detail"]) for row in rows] == [
        (f"books-{number}", "forced_open", "") for number in (1, 2, 3)
    ]
    for each in books:
        [request] = posted(each)
        assert (request.target, json.loads(request.body)) == (PATH, {"action": "force_open"})
        assert request.headers["authorization"].startswith("Bearer ey")


def test_in_one_process(switch, books):
    [row] = switch(instance="books-2", action="reset").json()["data"]
    assert row["instance"] == "books-2"
    assert [len(posted(each)) for each in books] == [0, 1, 0]


@pytest.mark.parametrize(
    ("told", "detail"),
    [
        ("silence", "no answer in time; it may have done it, or may do it yet"),
        ("trickle", "no answer in time; it may have done it, or may do it yet"),
        ("reset", "the connection broke; it may have done it"),
        (answer(404, b""), "has no circuit of that name"),
        (answer(401, b""), "takes no such token"),
        (answer(403, b"<script>"), "this person may not"),
        (answer(500, b"<script>"), "answers with status 500"),
        (answer(200, b"<script>"), "the answer was not understood"),
        (answer(200, b"x" * 10_000_000), "the connection broke; it may have done it"),
    ],
    ids=["silent", "slow", "reset", "none", "401", "403", "500", "nonsense", "10 MB"],
)
def test_one_that_does_not_delays_no_other(switch, books, told, detail):
    books[1].answers[PATH] = told
    began = time.monotonic()
    rows = switch().json()["data"]
    assert time.monotonic() - began < 5  # a silent one is given half a second
    assert [row["state"] for row in rows] == ["forced_open", None, "forced_open"]
    assert rows[1]["detail"] == detail


def test_one_that_is_gone(switch, books):
    books[0].refuse()
    rows = switch().json()["data"]
    assert (rows[0]["state"], rows[0]["detail"]) == (None, "nobody takes the connection")
    assert rows[2]["state"] == "forced_open"


def test_a_gateways_is_switched_at_its_admin_port_alone(switch):
    rows = switch(service="gateway").json()["data"]
    assert [(row["state"], row["detail"]) for row in rows] == [
        ("forced_open", ""),
        (None, "its admin port is not known here"),
    ]
    assert (len(posted(switch.admin)), posted(switch.gateway)) == (1, [])


@pytest.mark.parametrize("wrong", [{"service": "nobody"}, {"instance": "books-4"}, {"instance": "gateway-1"}])
def test_a_process_that_is_not_there(switch, wrong):
    check_problem(switch(**wrong), 404)

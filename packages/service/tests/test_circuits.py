"""A service's circuits: who sees them, who switches them, and that it is the real ones."""

from typing import NamedTuple

import pytest

from bookstore.service.app import Service
from bookstore.service.testing.problems import check_problem
from bookstore.service.tokens import Access, TokenSettings
from bookstore.service.tokens.verify import Claims

OPS = {"Authorization": "Bearer ops"}
CLOSED = {
    "dependency": "books",
    "state": "closed",
    "calls": 3,
    "failures": 1,
    "failure_rate": None,
    "rejected": 0,
}


class Snapshot(NamedTuple):
    state: str
    calls: int = 3
    failures: int = 1
    failure_rate: float | None = None
    rejected: int = 0


class Circuit:
    def __init__(self):
        self.state = "closed"

    def snapshot(self):
        return Snapshot(self.state)

    def force_open(self):
        self.state = "forced_open"

    def reset(self):
        self.state = "closed"


class Named:
    """Takes a role's name for a token of somebody with that role."""

    async def verify(self, token):
        return Claims(sub="7", jti="j", exp=0, roles=[token], customer_id=3)


@pytest.fixture
def circuits():
    return {"books": Circuit(), "a.b_c": Circuit()}


@pytest.fixture
async def client(circuits, connect):
    settings = TokenSettings(port=0, access_log=False)
    access = Access(Named(), required=False)
    service = Service("probe", "1", settings, access=access, circuits=lambda: circuits)
    async with connect(service) as client:
        yield client


async def test_they_are_shown_as_they_are(client, circuits):
    shown = (await client.get("/v2/circuits")).json()["data"]
    assert [each["dependency"] for each in shown] == ["a.b_c", "books"]
    assert shown[1] == CLOSED
    circuits["books"].force_open()
    del circuits["a.b_c"]
    assert (await client.get("/v2/circuits")).json() == {"data": [CLOSED | {"state": "forced_open"}]}


@pytest.mark.parametrize("times", [1, 2])
async def test_an_operator_switches_the_circuit_that_is_used(client, circuits, times):
    for action, state in (("force_open", "forced_open"), ("reset", "closed")):
        for _ in range(times):
            answer = await client.post("/v2/circuits/books", json={"action": action}, headers=OPS)
            assert (answer.status_code, answer.json()["state"]) == (200, state)
        assert circuits["books"].state == state
    assert circuits["a.b_c"].state == "closed"


REFUSED = {
    "nobody": (401, {"json": {"action": "force_open"}}),
    "a customer": (403, {"json": {"action": "force_open"}, "headers": {"Authorization": "Bearer customer"}}),
    "staff": (403, {"json": {"action": "force_open"}, "headers": {"Authorization": "Bearer staff"}}),
    "a form": (415, {"data": {"action": "force_open"}, "headers": OPS}),
    "plain text": (415, {"content": '{"action":"force_open"}', "headers": OPS}),
    "no such action": (422, {"json": {"action": "disable"}, "headers": OPS}),
    "more than an action": (422, {"json": {"action": "reset", "all": True}, "headers": OPS}),
    "nothing": (422, {"content": "", "headers": OPS | {"Content-Type": "application/json"}}),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_who_may_not_and_what_is_no_order_changes_nothing(client, circuits, case):
    status, sent = REFUSED[case]
    check_problem(await client.post("/v2/circuits/books", **sent), status)
    assert circuits["books"].state == "closed"


@pytest.mark.parametrize("name", ["b", "%2e%2e", "<b>", "x" * 5000, "%00"])
async def test_what_is_not_there_is_not_there(client, name):
    check_problem(await client.post(f"/v2/circuits/{name}", json={"action": "reset"}, headers=OPS), 404)


async def test_looking_changes_nothing(client, circuits):
    check_problem(await client.get("/v2/circuits/books", headers=OPS), 405)
    assert circuits["books"].state == "closed"


async def test_a_service_without_circuits_has_no_such_place(make_service, connect):
    async with connect(make_service()) as plain:
        check_problem(await plain.get("/v2/circuits"), 404)


async def test_what_it_takes_is_documented(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    operation = paths["/v2/circuits/{dependency}"]["post"]
    assert operation["security"] == [{"bearer": []}]
    assert {"200", "401", "403", "404", "422"} <= operation["responses"].keys()
    assert paths["/v2/circuits"]["get"]["security"] == [{"bearer": []}, {}]

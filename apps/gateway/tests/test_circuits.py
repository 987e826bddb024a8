"""An operator's hand on the circuits: at the gateway's own port nobody has one."""

import json

import pytest

FORCE, RESET = b'{"action":"force_open"}', b'{"action":"reset"}'
JSON = "Content-Type: application/json"


async def states(front):
    shown = json.loads((await front.admin("GET", "/v2/circuits")).body)["data"]
    return {each["dependency"]: each["state"] for each in shown}


async def test_forced_open_nothing_gets_through_and_reset_all_does(gateway):
    async with gateway() as front:
        assert (await front.ask("GET", "/v1/books")).status == 200
        reply = await front.admin("POST", "/v2/circuits/books", JSON, body=FORCE)
        assert (reply.status, json.loads(reply.body)["state"]) == (200, "forced_open")
        asked = len(front.books.heads)
        refused = await front.ask("GET", "/v1/books")
        assert refused.status == 503
        assert int(refused.header("retry-after")) >= 1
        assert len(front.books.heads) == asked
        assert (await front.ask("GET", "/v1/orders")).status == 200
        assert await states(front) == {"books": "forced_open", "orders": "closed", "accounts": "closed"}
        # Another file keeps it: what was switched was not what the file said.
        assert (await front.put(front.file)).status == 200
        assert (await states(front))["books"] == "forced_open"
        await front.admin("POST", "/v2/circuits/books", JSON, body=RESET)
        assert (await front.ask("GET", "/v1/books")).status == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ((JSON, "Origin: http://localhost:5004"), FORCE, 403),
        (("Content-Type: text/plain",), FORCE, 415),
        ((JSON,), b'{"action":"metrics_only"}', 422),
    ],
    ids=["a web page", "no JSON", "no such action"],
)
async def test_what_is_no_order_of_an_operator_changes_nothing(gateway, headers, body, status):
    async with gateway() as front:
        assert (await front.admin("POST", "/v2/circuits/books", *headers, body=body)).status == status
        assert (await front.admin("POST", "/v2/circuits/nobody", JSON, body=FORCE)).status == 404
        assert set((await states(front)).values()) == {"closed"}

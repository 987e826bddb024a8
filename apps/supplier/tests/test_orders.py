"""Orders and verdicts: what is validated, what is rejected, what is refused; and each only once."""

import json
import threading

import pytest

ONE = [{"book_id": 1, "quantity": 1}]


def line(quantity, book=1):
    return {"items": [{"book_id": book, "quantity": quantity}]}


VERDICTS = [
    (line(1), "validated", None),
    (line(1000), "validated", None),
    (line(1001), "rejected", "1001 pieces of 1: at most 1000 a line"),
    ({"items": [*ONE, *line(1001, 9)["items"]]}, "rejected", "1001 pieces of 9: at most 1000 a line"),
    ({"items": line(600)["items"] * 2}, "validated", None),
    ({"items": ONE * 100}, "validated", None),
    ({"product": "Medicine A", "quantity": 10}, "validated", None),
    (
        {"product": "Medicine A", "quantity": 1001},
        "rejected",
        "1001 pieces of Medicine A: at most 1000 a line",
    ),
    ({"product": "  discontinued ", "quantity": 1}, "rejected", "discontinued is not supplied"),
    ({"product": "Discontinued item", "quantity": 1}, "validated", None),
]


@pytest.mark.parametrize(("what", "status", "reason"), VERDICTS)
def test_verdicts(supplier, order, what, status, reason):
    reply = supplier.ask(body=json.dumps({"order_id": order, **what}))
    assert reply.status == 200
    assert reply.json == {"order_id": order, "status": status, "reason": reason}
    assert supplier.count(order) == (1, 1)


def test_the_seeds_order_has_a_name_for_a_number(supplier):
    body = '{"order_id": "test-001", "product": "Medicine A", "quantity": 10}'
    assert supplier.ask(body=body).json == {"order_id": "test-001", "status": "validated", "reason": None}
    assert supplier.count("test-001") == (1, 1)


BAD_ORDERS = [
    ("", "JSON"),
    ("{", "JSON"),
    ("[]", "object"),
    ("{}", "order_id"),
    ('{"order_id":1}', "items"),
    ('{"order_id":1,"items":[]}', "items"),
    ('{"order_id":1,"items":null}', "items"),
    ('{"order_id":1,"items":{}}', "items"),
    ('{"order_id":1,"items":[1]}', "items[0]"),
    ('{"order_id":1,"items":[{"book_id":1}]}', "quantity"),
    ('{"order_id":1,"items":[{"book_id":0,"quantity":1}]}', "book_id"),
    ('{"order_id":1,"items":[{"book_id":1,"quantity":0}]}', "quantity"),
    ('{"order_id":1,"items":[{"book_id":1,"quantity":-5}]}', "quantity"),
    ('{"order_id":1,"items":[{"book_id":1,"quantity":1.5}]}', "quantity"),
    ('{"order_id":1,"items":[{"book_id":1,"quantity":"2"}]}', "quantity"),
    ('{"order_id":1,"items":[{"book_id":1,"quantity":1,"price":2}]}', "price"),
    ('{"order_id":1,"items":[{"book_id":1,"quantity":1}],"product":"x","quantity":1}', "not both"),
    ('{"order_id":1,"product":"x"}', "product and quantity"),
    ('{"order_id":1,"quantity":1}', "product and quantity"),
    ('{"order_id":1,"product":"","quantity":1}', "product"),
    ('{"order_id":1,"product":"a\\u0000b","quantity":1}', "NUL"),
    ('{"order_id":1,"product":7,"quantity":1}', "product"),
    ('{"order_id":0,"product":"x","quantity":1}', "order_id"),
    ('{"order_id":-1,"product":"x","quantity":1}', "order_id"),
    ('{"order_id":9223372036854775808,"product":"x","quantity":1}', "order_id"),
    ('{"order_id":true,"product":"x","quantity":1}', "order_id"),
    ('{"order_id":null,"product":"x","quantity":1}', "order_id"),
    ('{"order_id":"","product":"x","quantity":1}', "order_id"),
    ('{"order_id":"a b","product":"x","quantity":1}', "order_id"),
    ('{"order_id":"a\\n","product":"x","quantity":1}', "order_id"),
    ('{"order_id":1,"order_id":2,"product":"x","quantity":1}', "order_id"),
    (json.dumps({"order_id": 1, "items": ONE * 101}), "items"),
    ("[" * 40 + "]" * 40, "nested"),
    (b'{"order_id":1,"product":"\xff","quantity":1}', "JSON"),
]


@pytest.mark.parametrize(("body", "named"), BAD_ORDERS)
def test_what_is_no_order_is_refused_by_name_and_not_counted(supplier, body, named):
    before = supplier.control.get("/effects").content
    reply = supplier.ask(body=body)
    assert (reply.status, reply.headers["content-type"]) == (400, "application/problem+json")
    assert named in reply.json["detail"]
    assert supplier.control.get("/effects").content == before


@pytest.mark.parametrize("mode", ["error", "hang", "accept_then_reset", "throttled"])
def test_what_is_no_order_is_the_callers_fault_in_every_mode(supplier, mode):
    supplier.mode(mode)
    assert supplier.ask(body="{}").status == 400


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_refused(supplier, order, kind):
    assert supplier.ask(order, f"Content-Type: {kind}").status == 415
    assert supplier.count(order) == (0, 0)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\u00e9"])
def test_a_key_that_is_none_is_refused(supplier, order, key):
    reply = supplier.ask(order, f"Idempotency-Key: {key}")
    assert reply.status == 400
    assert "Idempotency-Key" in reply.json["detail"]
    assert supplier.count(order) == (0, 0)


def test_without_a_key_an_order_that_says_something_else_is_judged_anew(supplier, order):
    asked = [line(1), line(1001), line(1001), line(2), line(1002)]
    replies = [supplier.ask(body=json.dumps({"order_id": order, **what})) for what in asked]
    assert [reply.json["status"] for reply in replies] == [
        "validated",
        "rejected",
        "rejected",
        "validated",
        "rejected",
    ]
    assert ["idempotent-replay" in reply.headers for reply in replies] == [False, False, True, True, False]
    assert supplier.count(order) == (3, 5)


def test_the_same_key_gets_the_same_verdict_whatever_else_it_says(supplier, order):
    first = supplier.ask(order, "Idempotency-Key: k1", body=json.dumps({"order_id": order, **line(1)}))
    again = supplier.ask(order, "Idempotency-Key: k1", body=json.dumps({"order_id": order, **line(5000)}))
    assert first.body == again.body
    assert ("idempotent-replay" in first.headers, "idempotent-replay" in again.headers) == (False, True)
    assert supplier.count(order) == (1, 2)


def test_a_key_of_another_order_is_refused_and_does_nothing(supplier, orders):
    one, other = next(orders), next(orders)
    supplier.ask(one, "Idempotency-Key: shared")
    assert supplier.ask(other, "Idempotency-Key: shared").status == 422
    assert (supplier.count(one), supplier.count(other)) == ((1, 1), (0, 1))


def test_two_keys_for_one_order_are_two_effects(supplier, order):
    """So that a caller who takes a new key for each try is found out."""
    for key in ("try-1", "try-2"):
        supplier.ask(order, f"Idempotency-Key: {order}-{key}")
    assert supplier.count(order) == (2, 2)


def test_without_a_key_the_order_is_its_own(supplier, order):
    supplier.ask(order)
    assert supplier.ask(order, f"Idempotency-Key: {order}").headers["idempotent-replay"] == "true"
    assert supplier.count(order) == (1, 2)


def test_many_at_once_with_one_key_are_one_effect(supplier, order):
    replies, gate = [], threading.Barrier(20)

    def call():
        client = supplier.connect()
        gate.wait()
        replies.extend(client.send(supplier.request(order)).reply() for _ in range(5))

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {reply.body for reply in replies} == {replies[0].body}
    assert sum("idempotent-replay" not in reply.headers for reply in replies) == 1
    assert supplier.count(order) == (1, 100)


def test_effects_tells_of_all_and_of_one(supplier, orders):
    mine = [next(orders) for _ in range(300)]
    client = supplier.connect()
    for each in mine:
        client.send(supplier.request(each)).reply()
    told = supplier.control.get("/effects").json()["orders"]
    for each in mine:
        row = told[str(each)]
        assert set(row) == {"effects", "calls", "first_call_at", "last_call_at"}
        assert row["first_call_at"] == row["last_call_at"]
    only = supplier.control.get("/effects", params={"order_id": mine[0]}).json()
    assert only == {"orders": {str(mine[0]): told[str(mine[0])]}}
    assert supplier.control.get("/effects", params={"order_id": "nobody"}).json() == {"orders": {}}


def test_the_first_and_the_last_call_are_told_apart(supplier, order):
    supplier.ask(order)
    supplier.ask(order)
    row = supplier.control.get("/effects", params={"order_id": order}).json()["orders"][str(order)]
    assert row["first_call_at"] < row["last_call_at"]


def test_what_is_not_supplied_is_a_setting(start):
    process = start(NOT_SUPPLIED="Old Stock, 7")
    supplier = process.ready()
    assert (
        supplier.ask(body='{"order_id":1,"product":"old  stock","quantity":1}').json["status"] == "rejected"
    )
    assert supplier.ask(body=json.dumps({"order_id": 2, **line(1, 7)})).json["reason"] == "7 is not supplied"
    assert supplier.ask(body=json.dumps({"order_id": 3, **line(1, 8)})).json["status"] == "validated"

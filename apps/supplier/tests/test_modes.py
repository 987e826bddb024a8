"""Every mode, as a client sees it on its socket, and what was done behind it."""

import random
import socket
import threading
from http import HTTPStatus

import pytest

REFUSES = [
    ("error", {}, 500),
    ("error", {"code": 503}, 503),
    ("error", {"code": 422}, 422),
    ("flaky", {"rate": 1}, 500),
    ("throttled", {"retry_after": 7}, 429),
]
LOSES = ["accept_then_reset", "half_body", "bad_json"]
"""The modes in which the work is done, and its answer is lost."""


@pytest.mark.parametrize(("mode", "parameters", "status"), REFUSES)
def test_an_error_is_whole_and_nothing_was_done(supplier, order, mode, parameters, status):
    supplier.mode(mode, **parameters)
    reply = supplier.ask(order)
    assert (reply.status, reply.is_whole) == (status, True)
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["title"] in {HTTPStatus(status).phrase, "Unprocessable Content"}
    assert reply.headers.get("retry-after") == {429: "7", 503: "1"}.get(status)
    assert supplier.count(order) == (0, 1)


def test_normal_answers_and_keeps_the_connection(supplier, order, of):
    client = supplier.connect()
    first = client.send(of(order)).reply()
    assert (first.status, first.ending) == (200, "open")
    assert first.json == {"order_id": order, "status": "validated", "reason": None}
    assert client.send(of(order)).reply().headers["idempotent-replay"] == "true"
    assert supplier.count(order) == (1, 2)


def test_accept_then_reset_is_a_reset_without_a_byte(supplier, order, of):
    supplier.mode("accept_then_reset")
    reply = supplier.connect().send(of(order)).rest()
    assert (reply.raw, reply.ending) == (b"", "reset")
    assert supplier.count(order) == (1, 1)


def test_half_body_announces_the_whole_and_sends_half_of_it(supplier, order):
    whole = supplier.ask(order)
    supplier.mode("half_body")
    reply = supplier.ask(order)
    assert (reply.status, reply.ending) == (200, "closed")
    assert int(reply.headers["content-length"]) == len(whole.body)
    assert reply.body == whole.body[: len(whole.body) // 2]


def test_bad_json_is_whole_by_its_length_and_no_json(supplier, order):
    supplier.mode("bad_json")
    reply = supplier.ask(order)
    assert (reply.status, reply.ending, reply.is_whole) == (200, "open", True)
    assert reply.headers["content-type"] == "application/json"
    with pytest.raises(ValueError, match="Expecting"):
        _ = reply.json


@pytest.mark.parametrize("mode", LOSES)
def test_a_lost_answer_was_an_effect_and_the_same_again_is_none(supplier, order, mode):
    supplier.mode(mode)
    supplier.ask(order)
    assert supplier.count(order) == (1, 1)
    supplier.ask(order)
    assert supplier.count(order) == (1, 2)
    supplier.mode("normal")
    reply = supplier.ask(order)
    assert (reply.json["status"], reply.headers["idempotent-replay"]) == ("validated", "true")
    assert supplier.count(order) == (1, 3)


def test_slow_does_it_at_once_and_answers_late(supplier, order, eventually, of):
    supplier.mode("slow", delay=1)
    client = supplier.connect().send(of(order))
    eventually(lambda: supplier.count(order) == (1, 1))
    assert client.has_nothing()
    assert client.reply().json["status"] == "validated"


def test_hang_does_and_answers_nothing_until_the_mode_changes(supplier, order, eventually, of):
    supplier.mode("hang")
    client = supplier.connect().send(of(order))
    eventually(lambda: supplier.count(order) == (0, 1))
    supplier.mode("hang", rate=1)
    assert client.has_nothing()
    supplier.mode("error")
    assert client.reply().status == 500
    assert supplier.count(order) == (0, 1)


@pytest.mark.parametrize("mode", [{"mode": "hang"}, {"mode": "slow", "delay": 300}])
def test_who_waits_and_leaves_leaves_nothing_behind(supplier, orders, eventually, mode, of):
    supplier.mode(**mode)
    before = supplier.tasks()
    mine = [next(orders) for _ in range(50)]
    for each in mine:
        supplier.connect().send(of(each))
    eventually(lambda: all(supplier.count(each)[1] == 1 for each in mine))
    assert supplier.tasks() >= before + 50
    supplier.hang_up()
    eventually(lambda: supplier.tasks() <= before + 1)


def test_down_refuses_at_once_and_closes_what_is_open(supplier, order, eventually, of):
    supplier.mode("hang")
    idle, hanging = supplier.connect(), supplier.connect().send(of(order))
    eventually(lambda: supplier.count(order) == (0, 1))
    assert supplier.mode("down")["mode"] == "down"
    assert supplier.is_refused()
    assert idle.rest().raw == hanging.rest().raw == b""
    assert supplier.control.get("/health").json()["status"] == "healthy"
    assert supplier.control.get("/get_failure_mode").json()["mode"] == "down"
    supplier.mode("down")
    assert supplier.is_refused()
    supplier.mode("normal")
    assert supplier.ask(order).status == 200


def test_who_turns_it_down_at_its_own_port_is_answered_first(supplier):
    reply = supplier.ask(body='{"mode":"down"}', path="/set_failure_mode")
    assert (reply.status, reply.json["mode"], reply.headers["connection"]) == (200, "down", "close")
    assert supplier.is_refused()


def test_a_port_that_somebody_took_meanwhile_stays_down(supplier, order):
    supplier.mode("down")
    with socket.create_server(("127.0.0.1", supplier.port)):
        answer = supplier.control.post("/set_failure_mode", json={"mode": "normal"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "another process listens there" in answer.json()["detail"]
        assert supplier.control.get("/get_failure_mode").json()["mode"] == "down"
    supplier.mode("normal")
    assert supplier.ask(order).status == 200


def test_the_seeds_two_calls_answer_at_both_ports_and_in_every_mode(supplier):
    for mode in ("error", "hang", "accept_then_reset", "slow", "normal"):
        reply = supplier.ask(body=f'{{"mode":"{mode}"}}', path="/set_failure_mode")
        assert (reply.status, reply.json["status"], reply.json["mode"]) == (200, "success", mode)
        shown = supplier.ask(method="GET", path="/get_failure_mode", body="").json
        assert shown == supplier.control.get("/get_failure_mode").json()
        assert shown["mode"] == mode


HEALTH = [
    ("normal", {}, 200, "open"),
    ("error", {}, 500, "open"),
    ("throttled", {}, 429, "open"),
    ("accept_then_reset", {}, 0, "reset"),
    ("half_body", {}, 200, "closed"),
    ("bad_json", {}, 200, "open"),
    ("slow", {"delay": 0.2}, 200, "open"),
]


@pytest.mark.parametrize(("mode", "parameters", "status", "ending"), HEALTH)
def test_health_suffers_like_the_calls_and_nothing_else_does(supplier, mode, parameters, status, ending):
    supplier.mode(mode, **parameters)
    reply = supplier.ask(method="GET", path="/health", body="")
    assert (reply.status, reply.ending) == (status, ending)
    for path in ("/health/live", "/health/ready", "/whoami", "/metrics", "/get"):
        assert supplier.ask(method="GET", path=path, body="").status == 200, path
    assert supplier.control.get("/health").json()["status"] == "healthy"


def test_health_hangs_too(supplier, of):
    supplier.mode("hang")
    client = supplier.connect().send(of(0).replace(b"POST /validate", b"GET /health"))
    assert supplier.ask(method="GET", path="/health/live", body="").status == 200
    assert client.has_nothing()
    supplier.mode("normal")
    assert client.reply().json["status"] == "healthy"


def test_the_control_port_validates_without_any_fault(supplier, order):
    supplier.mode("error")
    answer = supplier.control.post("/validate", json={"order_id": order, "product": "Ink", "quantity": 1})
    assert answer.json() == {"order_id": order, "status": "validated", "reason": None}
    assert supplier.count(order) == (1, 1)


def test_a_rate_picks_the_same_calls_for_the_same_seed(supplier, orders, of):
    def picked():
        supplier.mode("flaky", rate=0.3, seed=7)
        client, failed = supplier.connect(), []
        for number in range(60):
            failed.append(client.send(of(next(orders))).reply().status == 500)
            if number % 10 == 0:  # a probe takes no part in the draw
                supplier.ask(method="GET", path="/health", body="")
        return failed

    draw = random.Random(7).random  # noqa: S311
    assert picked() == picked() == [draw() < 0.3 for _ in range(60)]


@pytest.mark.parametrize(("rate", "effects"), [(0, 20), (1, 0)])
def test_a_rate_of_none_and_of_all(supplier, orders, rate, effects):
    supplier.mode("error", rate=rate)
    mine = [next(orders) for _ in range(20)]
    for each in mine:
        supplier.ask(each)
    assert sum(supplier.count(each)[0] for each in mine) == effects


def test_a_mode_ends_by_itself(supplier, order, eventually):
    told = supplier.mode("down", **{"for": 0.3})
    assert (told["for"], told["ends_at"] > told["since"]) == (0.3, True)
    assert supplier.is_refused()
    eventually(lambda: supplier.control.get("/get_failure_mode").json()["mode"] == "normal")
    assert supplier.ask(order).status == 200


def test_a_mode_that_was_replaced_ends_no_later_one(supplier):
    supplier.mode("slow", **{"for": 0.1})
    assert supplier.mode("throttled")["ends_at"] is None
    supplier.control.get("/delay/0.5")  # by the supplier's own clock
    assert supplier.control.get("/get_failure_mode").json()["mode"] == "throttled"


BAD_MODES = [
    ('{"mode":"broken"}', "mode"),
    ('{"mode":"DOWN"}', "mode"),
    ('{"mode":null}', "mode"),
    ('{"mode":3}', "mode"),
    ("{}", "mode"),
    ("[]", "object"),
    ('"down"', "object"),
    ('{"mode":"normal","delay":5}', "delay"),
    ('{"mode":"normal","rate":0.5}', "rate"),
    ('{"mode":"down","rate":0.5}', "rate"),
    ('{"mode":"slow","dely":5}', "dely"),
    ('{"mode":"slow","delay":"5"}', "delay"),
    ('{"mode":"slow","delay":-1}', "delay"),
    ('{"mode":"slow","delay":301}', "delay"),
    ('{"mode":"slow","delay":1e400}', "delay"),
    ('{"mode":"slow","delay":true}', "delay"),
    ('{"mode":"flaky","rate":1.1}', "rate"),
    ('{"mode":"flaky","rate":-0.1}', "rate"),
    ('{"mode":"flaky","rate":null}', "rate"),
    ('{"mode":"flaky","seed":0.5}', "seed"),
    ('{"mode":"error","code":200}', "code"),
    ('{"mode":"error","code":600}', "code"),
    ('{"mode":"error","code":"500"}', "code"),
    ('{"mode":"throttled","retry_after":-1}', "retry_after"),
    ('{"mode":"throttled","retry_after":1.5}', "retry_after"),
    ('{"mode":"hang","for":0}', "for"),
    ('{"mode":"hang","for":86401}', "for"),
    ('{"mode":"hang","mode":"down"}', "mode"),
    ('{"mode":"slow","delay":NaN}', "JSON"),
    ("mode=down", "JSON"),
    ("", "body"),
]


@pytest.mark.parametrize(("body", "named"), BAD_MODES)
def test_a_mode_that_is_none_is_refused_by_name_and_changes_nothing(supplier, body, named):
    supplier.mode("throttled", retry_after=3)
    reply = supplier.ask(body=body, path="/set_failure_mode")
    assert reply.status == 400
    assert named in reply.json["detail"]
    assert supplier.control.get("/get_failure_mode").json()["mode"] == "throttled"


def test_the_counts_hold_while_modes_change_under_load(supplier, orders, eventually):
    """Whoever was answered was counted, nothing was done twice, and nobody was counted who didn't call."""
    attempts, answered, stop = {}, {}, threading.Event()

    def call(mine):
        while not stop.is_set():
            for each in mine:
                attempts[each] = attempts.get(each, 0) + 1
                try:
                    reply = supplier.ask(each)
                except OSError:
                    continue
                if reply.status == 200 and reply.ending == "open":
                    answered[each] = answered.get(each, 0) + 1

    groups = [[next(orders) for _ in range(5)] for _ in range(4)]
    threads = [threading.Thread(target=call, args=(group,)) for group in groups]
    for thread in threads:
        thread.start()
    for mode in ("error", "down", "accept_then_reset", "hang", "half_body", "down", "slow", "bad_json") * 2:
        parameters = {"delay": 0.01} if mode == "slow" else {}
        supplier.mode(mode, **parameters)
        supplier.mode("normal")
        reached = dict(attempts)
        eventually(lambda reached=reached: sum(attempts.values()) > sum(reached.values()) + 20)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(answered) == 20
    for each, answers in answered.items():
        effects, calls = supplier.count(each)
        assert effects == 1
        assert answers <= calls <= attempts[each]

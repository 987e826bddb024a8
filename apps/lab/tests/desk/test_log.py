"""What the desk logs belongs to the request that asked for it, and is read like what the apps log."""

import json
from datetime import datetime

import pytest

from bookstore.lab.desk.log import asked, log
from bookstore.lab.desk.logs import lines_of

TRACE, SPAN = "a" * 32, "b" * 16
OF_TRACE = {"trace_id": TRACE, "span_id": SPAN}


@pytest.mark.parametrize(
    ("headers", "ids"),
    [
        ({}, {}),
        ({"x-request-id": "r-1"}, {"request_id": "r-1"}),
        ({"x-request-id": 'r"1'}, {}),
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, OF_TRACE),
        ({"traceparent": f"00-{TRACE}-{SPAN}-01", "x-request-id": "r-1"}, {"request_id": "r-1", **OF_TRACE}),
        ({"traceparent": "nonsense"}, {}),
    ],
)
def test_a_line_has_the_ids_of_its_request(capsys, headers, ids):
    log("before")
    with asked(headers):
        log("asked for")
    before, line = map(json.loads, capsys.readouterr().out.splitlines())
    known = {"timestamp", "level", "service", "instance", "logger", "message"}
    assert before.keys() == known
    assert line.keys() == known | ids.keys()
    assert line["message"] == "asked for"
    assert {name: line[name] for name in ids} == ids
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None


def test_the_desk_finds_its_own_lines_of_a_trace(capsys, tmp_path):
    with asked({"traceparent": f"00-{TRACE}-{SPAN}-01"}):
        log("a fault")
    (tmp_path / "desk-1.log").write_text(capsys.readouterr().out)
    [line] = lines_of(tmp_path, TRACE)
    assert (line.service, line.instance, line.message) == ("desk", "desk-1", "a fault")

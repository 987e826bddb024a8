"""When a request may be sent again, who may get it, and what an answer says of who gave it."""

import pytest

from bookstore.gateway.config.model import Health
from bookstore.gateway.upstreams.group import candidates
from bookstore.gateway.upstreams.member import Wellness
from bookstore.gateway.upstreams.retry import judge, reason_of, repeatable
from bookstore.service.upstream import Broken, ConnectFailed, TimedOut, UpstreamError


@pytest.mark.parametrize(
    ("method", "keyed", "may"),
    [
        ("GET", False, True),
        ("HEAD", False, True),
        ("PUT", False, True),
        ("DELETE", False, True),
        ("POST", False, False),
        ("PATCH", False, False),
        ("PROPFIND", False, False),
        ("POST", True, True),
    ],
)
def test_what_may_be_sent_twice(method, keyed, may):
    assert repeatable(method, keyed=keyed) is may


@pytest.mark.parametrize(
    ("status", "headers", "judged"),
    [
        (200, [], ("ok", "ok", None)),
        (404, [], ("ok", "ok", None)),
        (500, [], ("fail", "ok", None)),
        (501, [], ("ok", "ok", None)),
        (502, [], ("fail", "fail", "502")),
        (503, [], ("fail", "fail", "503")),
        (503, [(b"retry-after", b"1")], ("ok", "ok", None)),
        (504, [], ("fail", "fail", "504")),
        (599, [], ("fail", "ok", None)),
    ],
)
def test_what_an_answer_says_of_who_gave_it(status, headers, judged):
    assert judge(status, headers) == judged


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectFailed(), "connect"),
        (TimedOut(), "timeout"),
        (Broken(), "reset"),
        (UpstreamError(), None),
    ],
)
def test_why_another_target_could_be_asked(error, reason):
    assert reason_of(error) == reason


WELL, ILL, GONE = "well", "ill", "refused"


@pytest.mark.parametrize(
    ("heard", "state", "refused"),
    [
        ([], "unknown", False),
        ([WELL], "up", False),
        ([ILL], "down", False),
        ([GONE], "down", True),
        ([WELL, ILL], "up", False),
        ([WELL, GONE], "up", False),
        ([WELL, ILL, WELL, ILL], "up", False),
        ([WELL, ILL, ILL], "down", False),
        ([WELL, GONE, GONE], "down", True),
        ([WELL, ILL, ILL, GONE], "down", True),
        ([GONE, ILL], "down", False),
        ([ILL, WELL], "up", False),
        ([GONE, WELL], "up", False),
        ([GONE, WELL, ILL], "up", False),
        ([WELL, ILL, ILL, WELL], "down", False),
        ([WELL, ILL, ILL, WELL, ILL, WELL], "down", False),
        ([WELL, GONE, GONE, WELL, WELL], "up", False),
    ],
)
def test_the_first_answer_decides_and_later_ones_by_rise_and_fall(heard, state, refused):
    wellness, rule = Wellness(), Health(rise=2, fall=2)
    for verdict in heard:
        before = wellness.state, wellness.refused
        assert wellness.hear(verdict, rule) is (before != (wellness.state, wellness.refused))
    assert (wellness.state, wellness.refused) == (state, refused)


class Standin:
    def __init__(self, name, verdict, draining):
        self.name = name
        self.draining = draining
        self.wellness = Wellness()
        if verdict:
            self.wellness.hear(verdict, Health())


@pytest.mark.interpreted
@pytest.mark.parametrize(
    ("targets", "chosen"),
    [
        ("a+ b+ c+", "abc"),
        ("a? b+", "ab"),
        ("a+ b-", "a"),
        ("a+ b- c-", "abc"),  # too few are well: the fault is probably elsewhere
        ("a+ b0 c0", "a"),  # but where nobody listens nothing can be had
        ("a+ b- c0 d0", "ab"),
        ("a- b0", "a"),
        ("a0 b0", "ab"),
        ("a+ b+ c+d", "ab"),
        ("a+d b-", "b"),
        ("a+d b+d", ""),
    ],
)
def test_who_gets_requests(targets, chosen):
    verdicts = {"+": WELL, "-": ILL, "0": GONE, "?": None}
    members = [Standin(each[0], verdicts[each[1]], each.endswith("d")) for each in targets.split()]
    assert "".join(member.name for member in candidates(members)) == chosen

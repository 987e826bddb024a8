"""What is found out of heads and paths, and remembered of those that come again."""

import pytest

from bookstore.gateway.address import Proxies
from bookstore.gateway.head import Heads
from bookstore.gateway.memory import Memory
from bookstore.service.problem import Problem

HOST = (b"host", b"shop.example")


@pytest.fixture
def heads():
    return Heads(Proxies(["10.0.0.0/8"]))


def test_only_so_much_is_remembered():
    memory = Memory(2)
    for number in range(5):
        assert memory.keep(number, str(number)) == str(number)
        assert len(memory) <= 2
    assert memory.get(4) == "4"


def test_who_comes_again_is_known(heads):
    first = heads.read([HOST, (b"authorization", b"Bearer a")], "192.0.2.1")
    assert heads.read([HOST, (b"authorization", b"Bearer a")], "192.0.2.1") is first
    assert (first.host, first.shown) == (b"shop.example", [b"Bearer a"])


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ([HOST, (b"authorization", b"Bearer b")], "192.0.2.1"),
        ([HOST], "192.0.2.1"),
        ([HOST, (b"authorization", b"Bearer a")], "192.0.2.2"),
        ([HOST, (b"authorization", b"Bearer a"), (b"authorization", b"Bearer a")], "192.0.2.1"),
    ],
    ids=["another token", "none", "another address", "one too many"],
)
def test_nobody_is_taken_for_somebody_else(heads, headers, peer):
    heads.read([HOST, (b"authorization", b"Bearer a")], "192.0.2.1")
    head = heads.read(headers, peer)
    assert head.address == peer
    assert head.shown == [value for name, value in headers if name == b"authorization"]
    assert b"x-forwarded-for: " + peer.encode() + b"\r\n" in head.lines


def test_what_a_proxy_says_counts_for_each_request(heads):
    said = [
        heads.read([HOST, (b"x-forwarded-for", each)], "10.0.0.1").address
        for each in (b"1.1.1.1", b"2.2.2.2")
    ]
    assert said == ["1.1.1.1", "2.2.2.2"]


def test_long_heads_are_read_and_not_remembered(heads):
    long = [HOST, (b"x-long", b"a" * 5000)]
    assert heads.read(long, "192.0.2.1") is not heads.read(long, "192.0.2.1")
    with pytest.raises(Problem) as refused:
        heads.read([HOST, (b"x-long", b"a" * 40_000)], "192.0.2.1")
    assert refused.value.status == 431

"""Whom the monitor is told to watch."""

import pytest

from bookstore.monitor.health.targets import BadTargets, read_targets


def test_several_of_one_name_are_numbered_and_the_servers_of_one_redis_are_not():
    told = "books=http://a:1,http://b:2 redis=redis+cluster://a:1,b:2 bell=redis+sentinel://a,b:2/shop"
    assert {target.instance: target.url for target in read_targets(told)} == {
        "books-1": "http://a:1",
        "books-2": "http://b:2",
        "redis": "redis+cluster://a:1,b:2",
        "bell": "redis+sentinel://a,b:2/shop",
    }


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ("", "1 to 200 targets"),
        ("Books=http://a:1", "a name in small letters"),
        ("books=http://a:1 books=http://b:1", "books is there twice"),
        ("books=http://a", "must look like"),
        ("books=http://:secret@a:1", "must look like"),
        ("books=ftp://a:1", "must look like"),
        ("postgres=postgresql://a:1,postgresql://b:1", "a store has one address"),
        ("redis=redis://a:1,redis://b:1", "a store has one address"),
        ("redis=redis://:secret@a:1", "must look like"),
        ("redis=redis://a:1?password=secret", "must look like"),
        ("redis=redis://a:1/3", "must look like"),
        ("redis=redis://a:70000", "must look like"),
        ("redis=unix:///secret", "must look like"),
        ("redis=redis+cluster://:secret@a:1,b:2", "must look like"),
        ("redis=redis+sentinel://a:1", "must look like"),
        ("redis=redis+sentinel://a:1/shop?sentinel_password=secret", "must look like"),
        ("redis=rediss://a:1?ssl_ca_certs=/no/such/file", "certificates"),
    ],
)
def test_a_list_that_is_none_is_refused_and_no_secret_repeated(told, complaint):
    with pytest.raises(BadTargets, match=complaint) as caught:
        read_targets(told)
    assert "secret" not in str(caught.value)

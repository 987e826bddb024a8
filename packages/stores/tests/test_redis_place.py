"""What URLs of a Redis say, and what keeps one from using it."""

import pytest

from bookstore.stores.ports import any_free
from bookstore.stores.redis_place import Address, read

LOCAL = "127.0.0.1"


@pytest.mark.parametrize(
    ("url", "address", "database", "login", "watcher_login"),
    [
        ("redis://h", "redis://h:6379", "", (), ()),
        ("redis://:p%40ss@h:1/0", "redis://h:1", "", ("p@ss",), ()),
        ("redis://ana:word@[::1]:1/12", "redis://[::1]:1", "12", ("ana", "word"), ()),
        ("redis+cluster://:a@b@h,g:2", "redis+cluster://h:6379,g:2", "", ("a@b",), ()),
        (
            "redis+sentinel://:p@h,g:2/shop/3?sentinel_username=w&sentinel_password=s",
            "redis+sentinel://h:26379,g:2/shop",
            "3",
            ("p",),
            ("w", "s"),
        ),
        (
            "rediss://h?ssl_ca_certs=/a/ca.pem&ssl_password=hidden",
            "rediss://h:6379?ssl_ca_certs=/a/ca.pem",
            "",
            (),
            (),
        ),
    ],
)
def test_a_url_is_read_and_shown_without_what_opens_it(url, address, database, login, watcher_login):
    place = read(url)
    assert place.address == address
    assert (place.database, place.login, place.watcher_login) == (database, login, watcher_login)
    assert read(place.address).seeds == place.seeds
    assert not any(word in repr(place) for word in ("p@ss", "word", "a@b", "hidden"))


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "http://h:1",
        "redis://",
        "redis://:99999",
        "redis://h:0",
        "redis://h:70000",
        "redis://h:1,g:2",
        "redis://h:1/words",
        "redis+cluster://h:1,",
        "redis+cluster://h:1/5",
        "redis+sentinel://h:1",
        "redis+sentinel://h:1/shop/words",
        "redis+magic://h:1",
        "redis://h:1?ssl_ca_certs=/ca.pem",
        "redis+cluster://h:1?ssl_cert_reqs=none",
        "redis://secret@h:1 g",
    ],
)
def test_what_is_none_is_refused_and_not_repeated(url):
    with pytest.raises(ValueError, match=r"^no URL of a Redis$"):
        read(url)


def test_it_is_told_what_keeps_us_from_it(redis_server):
    free = any_free()
    plain = f"{LOCAL}:{redis_server.port}"
    secret = redis_server.store.password
    assert read(redis_server.url).complaint() is None
    for url, complaint in {
        f"redis://{plain}": "NOAUTH",
        f"redis://:wrong@{plain}": "WRONGPASS",
        f"redis://:{secret}@{plain}/99": "DB index is out of range",
        f"redis://{LOCAL}:{free}": "Connection refused",
        "redis://a..b": "a..b:6379: ",
        f"rediss://:{secret}@{plain}?ssl_ca_certs=/none": "No such file",
        f"redis+cluster://:{secret}@{plain}": "cluster support disabled",
        f"redis+sentinel://:{secret}@{plain}/shop": "unknown command",
    }.items():
        assert complaint in (read(url).complaint() or ""), url


def test_of_several_one_that_is_well_will_do_and_none_is_waited_for_twice(redis_server, monkeypatch):
    place = read(f"redis+cluster://:{redis_server.store.password}@{LOCAL}:{any_free()},h:1,h:2")
    said = {place.seeds[0]: "one", Address("h", 1): None, Address("h", 2): "two"}
    monkeypatch.setattr(type(place), "_node", lambda _, seed, __: said[seed])
    assert place.complaint() is None
    said[Address("h", 1)] = "three"
    assert place.complaint() == "one"

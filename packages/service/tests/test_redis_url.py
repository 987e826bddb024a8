"""What REDIS_URL says, in all its forms; and in which slot a key is."""

import msgspec
import pytest

from bookstore.service.redis_home import slot_of
from bookstore.service.redis_url import NOBODY, Login, Server, read
from bookstore.service.settings import RedisUrl, RedisUrlOrNone

ME = Login("me", "p@:/s")
FORMS = {
    "redis://host": ("server", [Server("host", 6379)], NOBODY, "", 0),
    "redis://me:p%40%3A%2Fs@host:1/2": ("server", [Server("host", 1)], ME, "", 2),
    "rediss://:s@[::1]:7?ssl_cert_reqs=none": ("server", [Server("::1", 7)], Login("", "s"), "", 0),
    "unix:///run/redis.sock?db=3": ("server", [Server("localhost", 6379, "/run/redis.sock")], NOBODY, "", 3),
    "redis+cluster://a": ("cluster", [Server("a", 6379)], NOBODY, "", 0),
    "rediss+cluster://me:p%40%3A%2Fs@a:1,[::1]:2,b/": (
        "cluster", [Server("a", 1), Server("::1", 2), Server("b", 6379)], ME, "", 0,
    ),
    "redis+sentinel://me:p%40%3A%2Fs@a,b:2/shop": (
        "sentinel", [Server("a", 26379), Server("b", 2)], ME, "shop", 0,
    ),
    "rediss+sentinel://a:1/the%20shop/4?ssl_check_hostname=false": (
        "sentinel", [Server("a", 1)], NOBODY, "the shop", 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("url", FORMS)
def test_each_form_is_understood(url):
    place = read(msgspec.convert(url, RedisUrl))
    assert (place.kind, [*place.seeds], place.login, place.service, place.database) == FORMS[url]
    assert (place.tls is not None) == url.startswith("rediss")


def test_sentinels_have_a_login_of_their_own():
    place = read("redis+sentinel://:s@a/shop?sentinel_username=eve&sentinel_password=w%26")
    assert (place.login, place.sentinel_login) == (Login("", "s"), Login("eve", "w&"))
    assert place.options == {"password": "s"}


@pytest.mark.parametrize(
    "url",
    [
        "", "host:6379", "http://host", "redis+cluster://", "redis+cluster://a,,b", "redis+cluster://a:x",
        "redis+cluster://a/0", "redis://a?ssl_ca_certs=/b", "redis+cluster://a?ssl_cert_reqs=none",
        "redis+sentinel://a", "redis+sentinel://a,b/", "redis+sentinel://a/shop/x",
        "redis+ring://a", "unix+cluster://a",
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_at_the_start(url):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(url, RedisUrl)


def test_nothing_is_a_url_only_where_redis_may_be_missing():
    assert msgspec.convert("", RedisUrlOrNone) == ""


@pytest.mark.parametrize("url", [url for url in FORMS if "me:" in url])
def test_what_is_shown_of_a_place_has_no_password_in_it(url):
    assert "p@:/s" not in repr(read(url))
    assert "p%40" not in repr(read(url))


# As a server tells with CLUSTER KEYSLOT.
SLOTS = {"foo": 12182, "{foo}": 12182, "a{foo}b{c}": 12182, "{}foo": 9500, "foo{": 7673, "": 0}


@pytest.mark.parametrize("key", SLOTS)
def test_a_key_is_in_the_slot_of_its_tag(key):
    assert slot_of(key) == SLOTS[key]

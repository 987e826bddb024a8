"""The file: what the one that comes along says, and what is said of one with faults."""

import json
import subprocess
import sys

import msgspec
import pytest

from bookstore.gateway.config import ConfigError, default, read_file, read_text
from bookstore.gateway.config.model import Limit, Route, Timeout, Upstream
from bookstore.gateway.limits import Counter
from bookstore.gateway.route import NotAllowed
from bookstore.gateway.settings import GatewaySettings
from bookstore.gateway.snapshot import build
from bookstore.gateway.tally import Tally
from bookstore.gateway.upstreams import Group

OPTIONAL = {"monitor_service_url": "http://127.0.0.1:5004", "playground_service_url": "http://127.0.0.1:8090"}


def urls(**settings):
    return GatewaySettings(**settings).urls


@pytest.fixture(scope="module")
def served():
    """What the file that comes along makes of a request, when all services are there."""
    config = default(urls(**OPTIONAL))
    groups = {name: Group(name, rule, tally=Tally()) for name, rule in config.upstreams.items()}
    return build(config, groups, Counter("", 1), None)


# method, path -> service, path there, who may, how often
WAYS = [
    ("GET", "/v1/books/7", "books", "/v1/books/7", "none", (), 6000),
    ("POST", "/v1/books", "books", "/v1/books", "token", ("staff", "ops"), 6000),
    ("DELETE", "/v2/books/7", "books", "/v2/books/7", "token", ("staff", "ops"), 6000),
    ("PUT", "/v2/books/7/cover", "books", "/v2/books/7/cover", "token", ("staff", "ops"), 6000),
    ("GET", "/v2/cache", "books", "/v2/cache", "token", ("ops",), 6000),
    ("POST", "/v1/orders", "orders", "/v1/orders", "token", (), 6000),
    ("GET", "/v2/orders/7/history", "orders", "/v2/orders/7/history", "token", (), 6000),
    ("GET", "/get_orders", "orders", "/v1/orders", "token", (), 6000),
    ("POST", "/auth/login", "accounts", "/auth/login", "none", (), 20),
    ("GET", "/.well-known/jwks.json", "accounts", "/.well-known/jwks.json", "none", (), 6000),
    ("GET", "/v1/customers/7", "accounts", "/v1/customers/7", "token", (), 6000),
    ("GET", "/catalog", "books", "/", "none", (), 100),
    ("GET", "/catalog/", "books", "/", "none", (), 100),
    ("HEAD", "/catalog/v1/books", "books", "/v1/books", "none", (), 100),
    ("GET", "/catalog/catalog/1", "books", "/catalog/1", "none", (), 100),
    ("GET", "/catalog/drugs", "books", "/v1/books", "none", (), 100),
    ("GET", "/catalog/drugs/7", "books", "/v1/books/7", "none", (), 100),
    ("GET", "/catalog/v2/cache", "books", "/v2/cache", "token", ("ops",), 100),
    ("GET", "/inventory/7", "books", "/inventory/7", "none", (), 100),
    ("GET", "/inventory/health", "books", "/inventory/health", "none", (), 100),
    ("GET", "/inventory/test-circuit-breaker", "books", "/inventory/test-circuit-breaker", "none", (), 100),
    ("PUT", "/inventory/7", "books", "/inventory/7", "token", ("staff", "ops"), 100),
    ("GET", "/orders/check-inventory/7", "orders", "/v1/orders/check-inventory/7", "token", (), 100),
    ("GET", "/products/", "books", "/v2/books/", "none", (), 10),
    ("POST", "/products", "books", "/v2/books", "token", ("staff", "ops"), 10),
    ("GET", "/customers", "accounts", "/v1/customers", "token", (), 10),
    ("POST", "/orders/", "orders", "/v2/orders/", "token", (), 10),
    ("GET", "/monitor", "monitor", "/", "none", (), 6000),
    ("POST", "/monitor/actions", "monitor", "/actions", "token", ("ops",), 6000),
    ("GET", "/playground/invoke", "playground", "/invoke", "none", (), 6000),
    ("POST", "/playground/force_open", "playground", "/force_open", "token", ("ops",), 6000),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: " ".join(way[:2]))
def test_where_the_file_that_comes_along_leads(served, way):
    method, path, service, target, auth, roles, quota = way
    found = served.way(method, path.encode(), b"shop.example")
    entry = found.entry
    assert (entry.group.name, found.target.decode(), entry.rule.auth, entry.rule.roles) == (
        service, target, auth, roles,
    )  # fmt: skip
    assert entry.limit.rule.quota == quota
    assert served.way(method, path.encode(), b"shop.example") is found


NOWHERE = [
    "/", "/catalogue", "/v1", "/v3/books", "/suppliers", "/validate", "/stock", "/set_failure_mode",
    # What is for operators, and what is between services, by whatever way.
    "/catalog/metrics", "/catalog/docs", "/catalog/docs/x", "/catalog/openapi.json", "/catalog/health",
    "/catalog/health/live", "/catalog/inventory/reservations/7", "/inventory/reservations",
    "/inventory/reservations/7", "/monitor/metrics", "/monitor/console", "/monitor/console/app.js",
    "/catalog/v2/circuits", "/catalog/v2/circuits/inventory-demo", "/playground/v2/circuits",
    "/playground/docs", "/playground/health",
]  # fmt: skip


@pytest.mark.parametrize("path", NOWHERE)
def test_what_nobody_reaches(served, path):
    for method in ("GET", "HEAD"):
        found = served.way(method, path.encode(), b"shop.example")
        assert found is None or found.target is None


@pytest.mark.parametrize("path", ["/catalog/v1/books", "/catalog/drugs/7", "/get_orders", "/v1/books"])
def test_what_is_for_reading_is_not_for_writing(served, path):
    if path == "/v1/books":
        assert served.way("GET", path.encode(), b"").entry.rule.roles == ()
        assert served.way("POST", path.encode(), b"").entry.rule.roles == ("staff", "ops")
        return
    with pytest.raises(NotAllowed) as error:
        served.way("POST", path.encode(), b"")
    assert "GET" in error.value.allow


def test_a_service_that_is_not_there_has_no_routes():
    config = default(urls())
    assert set(config.upstreams) == {"books", "orders", "accounts"}
    assert not [route.id for route in config.routes if route.prefix in ("/monitor", "/playground")]


def test_several_addresses_are_several_targets():
    config = default(urls(books_service_url="http://127.0.0.1:1,http://127.0.0.1:2"))
    assert [target.url for target in config.upstreams["books"].targets] == [
        "http://127.0.0.1:1",
        "http://127.0.0.1:2",
    ]
    assert config.jwks == "http://127.0.0.1:8003/.well-known/jwks.json"


def test_toml_and_json_say_the_same(tmp_path):
    config = default(urls())
    again = tmp_path / "gateway.json"
    again.write_bytes(msgspec.json.encode(config))
    assert read_file(again, urls()) == config


def file(route=None, upstream=None, **top):
    """A small file that is fine, but for what is changed."""
    return {
        "upstreams": {"a": {"targets": [{"url": "http://127.0.0.1:1"}], **(upstream or {})}},
        "limits": {"slow": {"quota": 1, "per": 1, "key": "caller"}},
        "routes": [{"id": "one", "prefix": "/one", "upstream": "a", **(route or {})}],
        **top,
    }


def problems(data):
    with pytest.raises(ConfigError) as error:
        read_text(json.dumps(data).encode(), "json", urls())
    return [str(problem) for problem in error.value.problems]


FAULTS = [
    (file(nmae=1), "nmae: there is no such field"),
    (file({"timeout": {"totl": 1}}), "routes[0].timeout.totl: there is no such field"),
    (file({"timeout": {"total": "1"}}), "routes[0].timeout.total: Expected `float`, got `str`"),
    (file({"timeout": {"total": 0}}), "routes[0].timeout.total: Expected `float` > 0.0"),
    (file({"timeout": {"total": 1.0}}), "routes[0].timeout.total: must be at least attempt (route one)"),
    (file({"prefix": "one"}), "routes[0].prefix: must be a path that begins with a slash"),
    (file({"prefix": "/one/"}), "routes[0].prefix: must be written /one (route one)"),
    (file({"prefix": "/%6Fne"}), "routes[0].prefix: must be written /one (route one)"),
    (file({"prefix": "/one/../two"}), "routes[0].prefix: the path holds a dot segment (route one)"),
    (
        file({"path": "strap"}),
        "routes[0].path: must be keep, strip, or a path that begins with a slash (route one)",
    ),
    (file({"path": "/two/"}), "routes[0].path: must be written /two (route one)"),
    (file({"upstream": "b"}), "routes[0].upstream: there is no upstream b (route one)"),
    (file({"limit": "fast"}), "routes[0].limit: there is no limit fast (route one)"),
    (file({"auth": "token"}), "routes[0].auth: tokens can't be verified without jwks (route one)"),
    (file({"auth": "tokn"}), "routes[0].auth: Invalid enum value 'tokn'"),
    (file({"roles": ["ops"]}), "routes[0].roles: nobody has a role where auth is none (route one)"),
    (file({"methods": ["get"]}), "routes[0].methods[0]: must be a method, in capitals"),
    (file({"methods": ["GET", "TRACE"]}), "routes[0].methods[1]: TRACE is always refused (route one)"),
    (file({"retry": {"on": ["404"]}}), "routes[0].retry.on[0]: Invalid enum value '404'"),
    (file({"id": "a b"}), "routes[0].id: must have 1 to 64 letters, digits, and . _ -"),
    (file({"id": "one\n"}), "routes[0].id: must have 1 to 64 letters, digits, and . _ -"),
    (file(routes=[{"id": "one", "upstream": "a"}]), "routes[0].prefix: missing"),
    (file(upstream={"pick": "best"}), "upstreams.a.pick: Invalid enum value 'best'"),
    (file(upstream={"targets": []}), "upstreams.a.targets: Expected `array` of length >= 1"),
    (
        file(upstream={"targets": [{"url": "http://x/y"}]}),
        "upstreams.a.targets[0].url: must look like http://host:port, or {name}",
    ),
    (
        file(upstream={"targets": [{"url": "http://x"}, {"url": "http://x"}]}),
        "upstreams.a.targets: the same address stands there twice",
    ),
    (
        file(upstream={"targets": [{"url": "{boks}"}]}),
        "upstreams.a.targets[0].url: nothing is called boks; known are " + ", ".join(sorted(urls())),
    ),
    (file(upstream={"eject": {"base": 9, "cap": 1}}), "upstreams.a.eject.cap: must be at least base"),
    (file(upstream={"hidden": ["/x/"]}), "upstreams.a.hidden[0]: must be written /x"),
    (
        file(upstreams={"a b": {"targets": [{"url": "http://x"}]}}),
        "upstreams: a name there must have 1 to 64 letters, digits, and . _ -",
    ),
    (
        file(limits={"slow": {"quota": 0, "per": 1, "key": "caller"}}),
        "limits.slow.quota: Expected `int` >= 1",
    ),
    (file(limits={"slow": {"quota": 1, "per": 1}}), "limits.slow.key: missing"),
    (
        file(keys={"k": {"sha256": "secret"}}),
        "keys.k.sha256: must be a SHA-256 in hexadecimal: 64 characters",
    ),
    (file(trusted_proxies=["10.0.0.1/8"]), "trusted_proxies[0]: 10.0.0.1/8 has host bits set"),
    (file(jwks="{monitor}/keys"), "jwks: there is no address of monitor"),
    (file(jwks="ftp://x/y"), "jwks: must look like http://host:port/path, or {name}/path"),
    (file(cors={"origins": ["shop.example"]}), "cors.origins[0]: must look like https://host, or be *"),
]


@pytest.mark.parametrize(("data", "problem"), FAULTS)
def test_a_fault_is_told_with_its_place(data, problem):
    assert problems(data) == [problem]


def test_a_request_has_one_route():
    twice = [Route(id="one", prefix="/a", upstream="a", methods=("GET", "PUT")) for _ in range(2)]
    assert problems(file(routes=[msgspec.to_builtins(each) for each in twice])) == [
        "routes[0].id: one stands there 2 times",
        "routes[1].id: one stands there 2 times",
    ]
    other = msgspec.structs.replace(twice[0], id="two", methods=("PUT", "POST"))
    assert problems(file(routes=[msgspec.to_builtins(each) for each in (twice[0], other)])) == [
        "routes[1].prefix: /a has PUT in route one already"
    ]


def test_all_that_does_not_fit_is_told_at_once():
    assert len(problems(file({"limit": "x", "upstream": "y", "prefix": "/z/"}))) == 3


@pytest.mark.parametrize("text", [b"routes = ", b"\xff", b"a = 1\na = 2"])
def test_what_is_no_toml(text):
    with pytest.raises(ConfigError, match="this is no TOML"):
        read_text(text, "toml", {})


def test_what_the_comments_of_the_file_say_is_so():
    """The values that they give for what is left out."""
    assert Upstream(targets=()) == Upstream(
        targets=(),
        pick="p2c",
        health=msgspec.convert({"path": "/health/live", "interval": 2.0, "rise": 2, "fall": 2}, type(HEALTH)),
        slow_start=15.0,
        max_in_flight=256,
    )
    assert Timeout() == Timeout(connect=0.5, attempt=1.5, total=2.0, idle=30.0)
    assert [Limit(quota=quota, per=1.0, key="caller").exact for quota in (1000, 1001)] == [True, False]


HEALTH = Upstream(targets=()).health


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("[upstreams.a]\ntargets = [{ url = 'http://127.0.0.1:1' }]\n", 0, "is fine: 0 routes to 1 services"),
        (
            "[upstreams.a]\ntargets = [{ ur = 'x' }]\n",
            2,
            "gateway: upstreams.a.targets[0].ur: there is no such",
        ),
        (None, 2, "can't be read: No such file or directory"),
    ],
)
def test_a_file_can_be_checked(tmp_path, text, code, said):
    path = tmp_path / "gateway.toml"
    if text is not None:
        path.write_text(text)
    checked = subprocess.run(
        [sys.executable, "-m", "bookstore.gateway", "check", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, said in checked.stdout + checked.stderr) == (code, True), checked

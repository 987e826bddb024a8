"""What `docker compose` is told is whole and safe, and each rule finds the mistake that it is there for."""

import copy
import re
import subprocess

import pytest
import yaml
from compose_rules import DEPLOY, LONG, VARIABLE, findings, schema, scraped


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_what_compose_is_told_is_whole_and_safe(compose):
    assert [*schema(compose), *findings(compose)] == []


GONE = "(gone)"
"""In the place of what isn't there any more."""
MISTAKES = [
    ("services.gateway.depends_on.catalogue", {"condition": "service_healthy"}, "there is none"),
    ("services.gateway.depends_on.jaeger", {"condition": "service_healthy"}, "isn't always there"),
    ("services.migrate-books.restart", "unless-stopped", "started again"),
    ("services.load.network_mode", "service:front", "nobody's network"),
    ("services.orders.networks", ["shop", "database", "cash"], "cash, and there is none"),
    ("volumes.covers", GONE, "covers, and there is none"),
    ("services.postgres.volumes", ["./tables.sql:/docker-entrypoint-initdb.d/a.sql:ro"], "there is none"),
    ("services.jaeger.volumes", ["../otel/compose/jaeger.yml:/etc/jaeger/jaeger.yml"], "may write to"),
    ("volumes.letters", None, "nobody uses the volume"),
    ("networks.letters", None, "nobody is in the network"),
    ("services.redis.image", "valkey/valkey:latest", "may change under us"),
    ("services.grafana.image", "grafana/grafana:13.1.0", "may change under us"),
    ("services.books.image", "bookstore-books:latest", "isn't called like"),
    ("services.books.build.args.PACKAGE", "orders", "isn't called like"),
    ("services.books.pull_policy", "missing", "from strangers"),
    ("services.orders.environment.BOOKS_URL", "http://books:8001", "no setting BOOKS_URL"),
    ("services.orders.environment.BOOKS_SERVICE_URL", GONE, "BOOKS_SERVICE_URL: required"),
    ("services.accounts.environment.AUTH_REQUIRED", "${AUTH_REQUIRED:-false}", "asks nobody"),
    ("services.playground.environment.AUTH_REQUIRED", GONE, "asks nobody"),
    ("services.orders-worker.environment.SERVICE_SECRET", GONE, "services' secret"),
    ("services.monitor.environment.PORT", "5005", "listens elsewhere"),
    ("services.orders.stop_grace_period", "10s", "before it has drained"),
    ("services.monitor.environment.OTEL_SDK_DISABLED", "true", "monitor's traces go nowhere"),
    ("services.monitor.environment.OTEL_TRACES_EXPORTER", "none", "monitor's traces go nowhere"),
    ("services.books.environment.OTEL_EXPORTER_OTLP_ENDPOINT", GONE, "books's traces go nowhere"),
    ("services.orders.environment.SERVICE_SECRET", LONG, "in the repository"),
    ("services.books.environment.DATABASE_URL", "postgresql://a:b@postgres/b", "in the repository"),
    ("services.postgres.environment.POSTGRES_PASSWORD", "postgres", "in the repository"),
    ("services.orders.ports", ["8082:8082"], "open to everybody's network"),
    ("services.orders.ports", ["127.0.0.1:8083:8082"], "published at"),
    ("services.accounts.ports", ["127.0.0.1:8003:8003"], "published at"),
    ("services.orders.environment.BOOKS_SERVICE_URL", "http://catalogue:8002", "nobody listens there"),
    ("services.orders.environment.BOOKS_SERVICE_URL", "http://bookshelf:8001", "nobody listens there"),
    ("services.orders.networks", ["shop", "cache"], "can't reach postgres"),
    ("services.orders.healthcheck", GONE, "never tells how it is"),
    ("services.monitor.healthcheck", GONE, "nobody asks how monitor is"),
    ("services.monitor.healthcheck.test", ["CMD", "curl", "http://localhost:5004"], "in a way of its own"),
    ("services.supplier.healthcheck.test.4", "5004", "in a way of its own"),
    ("services.books.read_only", False, "may write to its root"),
    ("services.books.cap_drop", GONE, "keeps capabilities"),
    ("services.books.security_opt", GONE, "may gain privileges"),
    ("services.books.privileged", True, "is privileged"),
    ("services.books.user", "root", "is root"),
    ("services.postgres.user", GONE, "is root"),
    ("services.gateway.deploy", GONE, "has no limits"),
    ("services.gateway.logging", GONE, "logs without an end"),
    ("services.load.network_mode", "host", "machine's own network"),
    ("services.monitor.volumes", ["/var/run/docker.sock:/var/run/docker.sock"], "rules over Docker"),
    ("name", "bookstore", "--filter name=books"),
    ("services.books-replica.container_name", "replica", "--filter name=books"),
    ("services.orders.container_name", GONE, "called orders"),
    ("services.prometheus.profiles", ["observability"], "has the profiles"),
    ("services.grafana.profiles", GONE, "has the profiles"),
    ("services.gateway.environment.BOOKS_SERVICE_URL", "http://books:8001", "among two"),
    ("services.books.environment.COVERS_FOLDER", "covers", "loses what it keeps"),
    ("services.supplier.volumes", GONE, "loses what it keeps"),
    ("services.accounts.environment.TRUSTED_PROXIES", "10.0.0.0/8", "somebody else than the gateway"),
    ("networks.shop.ipam.config.0.ip_range", "10.213.77.0/25", "get the gateway's address"),
    ("networks.shop.ipam.config.0.subnet", "10.213.78.0/24", "in another network"),
    ("services.playground", GONE, "playground isn't here"),
    ("services.supplier.networks", ["watch", "cache"], "can't reach supplier"),
    ("services.prometheus.networks", ["watch"], "Prometheus can't reach"),
]  # fmt: skip


def changed(compose, path, value):
    spoiled = copy.deepcopy(compose)
    *way, last = path.split(".")
    place = spoiled
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is GONE:
        del place[last]
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return spoiled


@pytest.mark.parametrize(
    ("path", "value", "finding"), MISTAKES, ids=[f"{path}-{value}" for path, value, _ in MISTAKES]
)
def test_a_mistake_is_found(compose, path, value, finding):
    found = findings(changed(compose, path, value))
    assert any(finding in each for each in found), found


@pytest.mark.parametrize(
    ("path", "value"), [("services.orders.port", [8082]), ("services.orders.healthcheck.retries", [3])]
)
def test_a_word_that_compose_does_not_know_is_found(compose, path, value):
    assert [*schema(changed(compose, path, value))]


@pytest.mark.parametrize("service", ["books:8001", "supplier:5013"])
def test_a_target_that_nobody_asks_is_found(compose, monkeypatch, service):
    monkeypatch.setattr(
        yaml, "safe_load", lambda text, real=yaml.safe_load: real(text.replace(service, "other:1"))
    )
    assert [*scraped(compose)]


README = (DEPLOY / "README.md").read_text()


def test_the_line_that_makes_secrets_makes_each_once(compose, tmp_path):
    line = re.search(r"^\[ -e \.env \] .*$", README, re.MULTILINE)[0]
    subprocess.run(["sh", "-euc", line], cwd=tmp_path, check=True)
    file = tmp_path / ".env"
    made = dict(re.findall(r"^(\w+)=([0-9a-f]{64})$", file.read_text(), re.MULTILINE))
    assert made.keys() == {name for name, how, _ in VARIABLE.findall(yaml.dump(compose)) if how == "?"}
    assert len({*made.values()}) == len(made) == len(file.read_text().splitlines())
    assert file.stat().st_mode & 0o777 == 0o600
    subprocess.run(["sh", "-euc", line], cwd=tmp_path, check=True)
    assert dict(re.findall(r"^(\w+)=(.*)$", file.read_text(), re.MULTILINE)) == made, "secrets are made once"


def test_what_the_page_types_is_there(compose):
    """The last column of its table, and all that stands in blocks and lists."""
    services = compose["services"]
    cells = [line.rsplit(" | ", 1)[1] for line in README.splitlines() if re.match(r"\| 00\d \|", line)]
    text = "\n".join([*cells, README.split("### Further things")[1]])
    typed = re.findall(r"docker compose (?:--profile \w+ )?(?:exec|run --rm|logs -f) ([a-z][\w-]*)", text)
    typed += re.findall(r"--scale ([\w-]+)=", text)
    assert {"accounts", "postgres", "load", "gateway", "orders-worker"} < {*typed} | {"accounts"}
    assert {*typed} <= {*services}
    stopped = re.findall(r"docker (?:stop|start|inspect) ((?:[a-z][\w-]* ?)+)", text)
    named = {service["container_name"] for service in services.values() if "container_name" in service}
    assert {name for names in stopped for name in names.split()} <= named
    profiles = {profile for service in services.values() for profile in service.get("profiles", ())}
    assert {*re.findall(r"--profile (\w+)", README)} == profiles

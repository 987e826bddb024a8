"""What a compose file has to be: each rule tells what it finds wrong."""

import importlib.resources
import ipaddress
import json
import re
import tomllib
from pathlib import Path

import jsonschema
import msgspec
import yaml

from bookstore.accounts.settings import AccountsSettings
from bookstore.books.settings import BooksSettings
from bookstore.gateway.settings import GatewaySettings
from bookstore.lab.system.topology import SYSTEM
from bookstore.monitor.settings import MonitorSettings
from bookstore.orders.queue.settings import WorkerSettings
from bookstore.orders.settings import OrdersSettings
from bookstore.playground.settings import PlaygroundSettings
from bookstore.service.settings import SettingsError, load
from bookstore.service.tracing.settings import read
from bookstore.supplier.settings import SupplierSettings

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
SCHEMA = json.loads(
    (importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text()
)
VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
KINDS = {
    "accounts": AccountsSettings,
    "books": BooksSettings,
    "books-replica": BooksSettings,
    "orders": OrdersSettings,
    "orders-worker": WorkerSettings,
    "supplier": SupplierSettings,
    "gateway": GatewaySettings,
    "monitor": MonitorSettings,
    "playground": PlaygroundSettings,
}
STORES = {"postgres": 5432, "redis": 6379}
TOOLS = {"prometheus": {9090}, "jaeger": {16686, 4318, 4317, 8889}, "grafana": {3000}}
PUBLISHED = {
    "postgres": {5432},
    "books": {8001},
    "orders": {8082},
    "orders-worker": {9100},
    "supplier": {5003, 5013},
    "gateway": {8080},
    "monitor": {5004},
    "playground": {8090},
    "prometheus": {9090},
    "jaeger": {16686},
    "grafana": {3000},
}
"""What the guides type, and nothing more: accounts is for the gateway alone, Redis for the services."""
PROFILES = {
    "prometheus": ["monitoring"],
    "jaeger": ["monitoring"],
    "grafana": ["monitoring"],
    "load": ["load"],
}
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL")
PINNED = re.compile(r"[\w./-]+:(?!latest)[\w.-]*\d[\w.-]*@sha256:[0-9a-f]{64}")
VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?::([-?])([^}]*))?\})")
LONG = "0123456789abcdef" * 4


def said(text):
    """A value as compose has it, with a secret in the place of each that has to be given."""
    return VARIABLE.sub(lambda found: (found[3] if found[2] == "-" else LONG) if found[1] else "$", str(text))


def environment(service):
    return {name: said(value) for name, value in service.get("environment", {}).items()}


def ports_of(name):
    """Where a service listens, by its settings' defaults."""
    if name in KINDS:
        fields = {each.name: each.default for each in msgspec.structs.fields(KINDS[name])}
        return {fields[each] for each in ("port", "control_port") if each in fields}
    return {STORES[name]} if name in STORES else TOOLS.get(name, set())


def networks_of(service):
    return {*service.get("networks", ())}


def hosts(services):
    """Who answers to a name, and in which networks."""
    found = {}
    for name, service in services.items():
        for network in networks_of(service):
            options = service["networks"][network] if isinstance(service["networks"], dict) else None
            for host in (name, service.get("container_name", name), *(options or {}).get("aliases", ())):
                found.setdefault(host, {}).setdefault(name, set()).add(network)
    return found


def schema(compose):
    for error in VALIDATOR.iter_errors(compose):
        yield f"{'.'.join(map(str, error.path))} isn't by the schema: {error.message}"


def rows(compose):
    """All of the lab's topology is here but its own instruments, and two of books."""
    wanted = {row.name for row in SYSTEM.services if not row.apart} | {*KINDS, *PUBLISHED}
    yield from (f"{name} isn't here" for name in sorted(wanted - {*compose["services"]}))


def needs(compose):
    """Whom somebody waits for is there, and will tell."""
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            needed = services.get(other)
            if needed is None:
                yield f"{name} depends on {other}, and there is none"
            elif not {*needed.get("profiles", ())} <= {*service.get("profiles", ())}:
                yield f"{name} depends on {other}, which isn't always there"
            elif how["condition"] == "service_healthy" and "healthcheck" not in needed:
                yield f"{name} waits for {other}, which never tells how it is"
            elif how["condition"] == "service_completed_successfully" and needed["restart"] != "no":
                yield f"{name} waits for the end of {other}, which is started again"


def mounts(compose):
    used = set()
    for name, service in compose["services"].items():
        for mount in service.get("volumes", ()):
            source, target, *options = mount.split(":")
            used.add(source)
            there = (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"]
            if not there or not target.startswith("/"):
                yield f"{name} mounts {source}, and there is none"
            if source.startswith(".") and options != ["ro"]:
                yield f"{name} may write to {source}"
    yield from (f"nobody uses the volume {each}" for each in {*compose["volumes"]} - used)


def networks(compose):
    services, joined = compose["services"], set()
    for name, service in services.items():
        joined |= networks_of(service)
        mode, _, partner = service.get("network_mode", "").partition(":")
        if mode not in {"", "service"} or (partner and partner not in services):
            yield f"{name} is in nobody's network"
    yield from (
        f"somebody is in the network {each}, and there is none" for each in joined - {*compose["networks"]}
    )
    yield from (f"nobody is in the network {each}" for each in {*compose["networks"]} - joined)


def images(compose):
    for name, service in compose["services"].items():
        image, build = service["image"], service.get("build")
        if build is None:
            if not PINNED.fullmatch(image):
                yield f"{name}'s image may change under us"
            continue
        package = build["args"]["PACKAGE"]
        manifest = ROOT / "apps" / package / "pyproject.toml"
        version = tomllib.loads(manifest.read_text())["project"]["version"]
        if image != f"bookstore-{package}:{version}" or build["args"]["VERSION"] != version:
            yield f"{name}'s image isn't called like {package} {version}"
        if not (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile"):
            yield f"{name} isn't made by the Dockerfile"
        if service.get("pull_policy") != "build":
            yield f"{name}'s image might be fetched from strangers"


def settings(compose):
    """Each is one that there is, is accepted, and asks for tokens by default."""
    for name, kind in KINDS.items():
        given = environment(compose["services"][name])
        known = {field.name.upper() for field in msgspec.structs.fields(kind)}
        yield from (
            f"{name} has no setting {each}" for each in {*given} - known if not each.startswith("OTEL_")
        )
        try:
            taken = load(kind, name.replace("-", "_"), environ=given)
        except SettingsError as error:
            yield f"{name}: {error}"
            continue
        if not getattr(taken, "auth_required", True):
            yield f"{name} asks nobody for a token"
        if getattr(taken, "service_secret", LONG) != LONG:
            yield f"{name} doesn't know the services' secret"
        if {taken.port, getattr(taken, "control_port", taken.port)} != ports_of(name):
            yield f"{name} listens elsewhere than by default"
        grace = float(compose["services"][name]["stop_grace_period"].removesuffix("s"))
        if grace < taken.drain_announce + taken.drain_finish + 5:
            yield f"{name} is killed before it has drained"


def traces(compose):
    """Everybody's go somewhere."""
    for name in KINDS:
        given = environment(compose["services"][name])
        told = read({each: value for each, value in given.items() if each.startswith("OTEL_")})
        if not told.url or told.problems or given.get("OTEL_SDK_DISABLED", "false") != "false":
            yield f"{name}'s traces go nowhere"


def secrets(compose):
    """None is in the repository."""
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            for secret in re.findall(r"://[^@\s]*:([^@\s]*)@", str(value)) or (
                [value] if SECRET.search(key) else []
            ):
                if not VARIABLE.fullmatch(secret):
                    yield f"{name} has {key} in the repository"


def ports(compose):
    for name, service in compose["services"].items():
        wanted = {f"127.0.0.1:{port}:{port}" for port in PUBLISHED.get(name, ())}
        found = {*service.get("ports", ())}
        if any(not port.startswith("127.0.0.1:") for port in found):
            yield f"{name} is open to everybody's network"
        elif found != wanted:
            yield f"{name} is published at {sorted(found)}"


def addresses(compose):
    """Whoever is named answers to that name, there, in a network that both are in."""
    services = compose["services"]
    known = hosts(services)
    for name in KINDS:
        # Jaeger is for people's browsers, which are outside.
        given = " ".join(value for key, value in environment(services[name]).items() if key != "JAEGER_URL")
        for url in re.findall(r"(?:https?|postgresql|redis)://[^\s,]+", given):
            host, port = re.fullmatch(r"\w+://(?:[^@]*@)?([\w-]+):?(\d*)(?:/\w+)?", url).groups()
            for other, networks in known.get(host, {"": set()}).items():
                if int(port or 0) not in ports_of(other):
                    yield f"{name} calls {host}:{port}, and nobody listens there"
                elif not networks & networks_of(services[name]):
                    yield f"{name} can't reach {other}"


def health(compose):
    asked = re.search(r"HEALTHCHECK.*\\\n\s+CMD (\[.*\])", (DEPLOY / "Dockerfile").read_text())
    ours = ["CMD", *json.loads(asked[1])]
    for name, service in compose["services"].items():
        if service["restart"] == "no":
            continue
        test = service.get("healthcheck", {}).get("test")
        if not test or service["healthcheck"].get("disable"):
            yield f"nobody asks how {name} is"
        elif name in KINDS:
            port = [int(each) for each in test[len(ours) :]]
            if test[: len(ours)] != ours or not {*port} <= ports_of(name):
                yield f"{name} is asked for its health in a way of its own"


def safety(compose):
    for name, service in compose["services"].items():
        limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
        user = str(service.get("user", "")).partition(":")[0]
        found = {
            "may write to its root": not service.get("read_only"),
            "keeps capabilities": service.get("cap_drop") != ["ALL"] or bool(service.get("cap_add")),
            "may gain privileges": service.get("security_opt") != ["no-new-privileges:true"],
            "is privileged": bool(service.get("privileged")),
            "is root": user in ({"root", "0"} if "build" in service else {"root", "0", ""}),
            "has no limits": {*limits} != {"cpus", "memory", "pids"},
            "logs without an end": "max-size" not in service.get("logging", {}).get("options", {}),
            "is on the machine's own network": service.get("network_mode") == "host",
            "rules over Docker": "docker.sock" in str(service.get("volumes")),
        }
        yield from (f"{name} {what}" for what, wrong in found.items() if wrong)


def names(compose):
    """What the guides type: `--profile monitoring`, `docker ps --filter name=books`, `inspect orders`."""
    services = compose["services"]
    called = {n: s.get("container_name", f"{compose['name']}-{n}-1") for n, s in services.items()}
    running = {name for name, container in called.items() if "books" in container and name in KINDS}
    if {"books", "books-replica"} != running or any("books" in called[name] for name in (*STORES, *TOOLS)):
        yield f"`--filter name=books` finds {sorted(running)}"
    if called["orders"] != "orders":
        yield "no container is called orders"
    for name, service in services.items():
        if service.get("profiles") != PROFILES.get(name):
            yield f"{name} has the profiles {service.get('profiles')}"


def together(compose):
    """What belongs together says the same."""
    services = compose["services"]
    if environment(services["gateway"])["BOOKS_SERVICE_URL"] != "http://books:8001,http://books-replica:8001":
        yield "the gateway doesn't share requests out among two"
    for name, setting in (
        ("books", "COVERS_FOLDER"),
        ("books-replica", "COVERS_FOLDER"),
        ("supplier", "EFFECTS_FILE"),
    ):
        kept = [mount.split(":")[1] for mount in services[name].get("volumes", ())]
        if not any(environment(services[name]).get(setting, "").startswith(f"{place}/") for place in kept):
            yield f"{name} loses what it keeps"
    if services["books"]["volumes"] != services["books-replica"]["volumes"]:
        yield "covers aren't shared"
    believed = services["accounts"]["environment"].get("TRUSTED_PROXIES")
    shop = compose["networks"]["shop"]["ipam"]["config"][0]
    if believed != services["gateway"]["networks"]["shop"]["ipv4_address"]:
        yield "accounts believes somebody else than the gateway"
    elif ipaddress.ip_address(believed) not in ipaddress.ip_network(shop["subnet"]):
        yield "the gateway is in another network"
    elif ipaddress.ip_address(believed) in ipaddress.ip_network(shop["ip_range"]):
        yield "somebody else may get the gateway's address"


def scraped(compose):
    """Prometheus asks each service, under its name, where it is."""
    services = compose["services"]
    mounts = dict(mount.split(":")[:2] for mount in services["prometheus"]["volumes"])
    file = next(source for source, target in mounts.items() if target == "/etc/prometheus/prometheus.yml")
    jobs = yaml.safe_load((DEPLOY / file).read_text())["scrape_configs"]
    asked = {target for job in jobs for target in job["static_configs"][0]["targets"]}
    wanted = {*KINDS, "jaeger"}
    if {target.partition(":")[0] for target in asked} != wanted | {"localhost"}:
        yield "Prometheus doesn't ask everybody"
    for name in wanted:
        if not any(f"{name}:{port}" in asked for port in ports_of(name)):
            yield f"Prometheus asks {name} where nobody listens"
        if not networks_of(services[name]) & networks_of(services["prometheus"]):
            yield f"Prometheus can't reach {name}"


RULES = (
    needs, mounts, networks, images, settings, traces, secrets, ports, addresses, health, safety, names,
    together, scraped,
)  # fmt: skip


def findings(compose):
    """All that is wrong; where a service is missing nothing else is looked at."""
    return [*rows(compose)] or [finding for rule in RULES for finding in rule(compose)]

"""What was rendered, to be asked about: which pods there are, what they are told, who may speak to whom."""

import base64
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bookstore.accounts.settings import AccountsSettings
from bookstore.books.settings import ALIASES as BOOKS_ALIASES
from bookstore.books.settings import BooksSettings
from bookstore.gateway.settings import GatewaySettings
from bookstore.lab.system.topology import SYSTEM
from bookstore.monitor.settings import MonitorSettings
from bookstore.orders.queue.settings import ALIASES as WORKER_ALIASES
from bookstore.orders.queue.settings import WorkerSettings
from bookstore.orders.settings import OrdersSettings
from bookstore.playground.settings import PlaygroundSettings
from bookstore.service.settings import SettingsError, load
from bookstore.supplier.settings import SupplierSettings

NAME = "app.kubernetes.io/name"
APPS = {
    "accounts": (AccountsSettings, {}),
    "books": (BooksSettings, BOOKS_ALIASES),
    "gateway": (GatewaySettings, {}),
    "monitor": (MonitorSettings, {}),
    "orders": (OrdersSettings, {}),
    "orders-worker": (WorkerSettings, WORKER_ALIASES),
    "playground": (PlaygroundSettings, {}),
    "supplier": (SupplierSettings, {}),
}
COMMANDS = {service.name: ["python", *service.run] for service in SYSTEM.services if service.kind == "app"}
ELSEWHERE = {
    "DATABASE_URL": "postgresql://user:{secret}@db.example.com:5432/db",
    "REDIS_URL": "redis://:{secret}@cache.example.com:6379/0",
}
LISTENERS = {"orders"}
"""Who has one connection more, on which it listens."""
URL = re.compile(r"(\w+)://(?:[^\s/@]*@)?([a-z0-9.-]+)(?::(\d+))?")
STORES = {"postgresql": 5432, "redis": 6379, "https": 443}


@dataclass
class Workload:
    """What makes pods: a Deployment, a StatefulSet, a Job."""

    body: dict[str, Any]

    @property
    def kind(self):
        return self.body["kind"]

    @property
    def name(self):
        return self.body["metadata"]["name"]

    def __str__(self):
        return f"{self.kind}/{self.name}"

    @property
    def is_app(self):
        return self.kind == "Deployment"

    @property
    def labels(self):
        return self.body["spec"]["template"]["metadata"]["labels"]

    @property
    def pod(self):
        return self.body["spec"]["template"]["spec"]

    @property
    def container(self):
        return self.pod["containers"][0]

    @property
    def ports(self):
        return {each.get("name"): each["containerPort"] for each in self.container.get("ports", ())}


class World:
    """All resources of one rendering."""

    def __init__(self, resources):
        self.resources = resources

    def of(self, *kinds):
        return [each for each in self.resources if each["kind"] in kinds]

    def named(self, kind, name):
        return next((each for each in self.of(kind) if each["metadata"]["name"] == name), None)

    @cached_property
    def workloads(self):
        return [Workload(each) for each in self.of("Deployment", "StatefulSet", "Job")]

    @property
    def apps(self):
        return [each for each in self.workloads if each.is_app]

    @property
    def lasting(self):
        return [each for each in self.workloads if each.kind != "Job"]

    @property
    def namespace(self):
        return self.of("Namespace")[0]["metadata"]

    def told(self, workload):
        """The environment of a workload; what comes from a secret elsewhere is made up."""
        found = {}
        for each in workload.container.get("envFrom", ()):
            config = self.named("ConfigMap", each["configMapRef"]["name"])
            found |= config["data"] if config else {}
        for each in workload.container.get("env", ()):
            found[each["name"]] = each["value"] if "value" in each else self.secret(each)
        return found

    @cached_property
    def settings(self):
        """What each app makes of what it is told: its settings, or the reason why it doesn't start."""
        found = {}
        for app in self.apps:
            kind, aliases = APPS[app.name]
            try:
                found[app.name] = load(kind, app.name, environ=self.told(app), aliases=aliases)
            except SettingsError as error:
                found[app.name] = error
        return found

    def secret(self, variable):
        reference = variable["valueFrom"]["secretKeyRef"]
        there = self.named("Secret", reference["name"])
        if there:
            return base64.b64decode(there["data"].get(reference["key"], "")).decode()
        return ELSEWHERE.get(reference["key"], "{secret}").format(secret="s" * 40)

    def selected(self, selector):
        """The workloads whose pods these labels select."""
        return [each for each in self.workloads if matches(selector, each.labels)]

    def addresses(self, workload):
        """Whom a workload is told to speak to: scheme, host and port of each."""
        told = self.told(workload)
        silent = told.get("OTEL_SDK_DISABLED") == "true" or told.get("OTEL_TRACES_EXPORTER") == "none"
        for name, value in told.items():
            if not (silent and name.startswith("OTEL_EXPORTER")):
                for scheme, host, port in URL.findall(value):
                    yield scheme, host, int(port or STORES.get(scheme, 80))

    def inside(self, host):
        """The Service of that name in this namespace."""
        name, _, rest = host.partition(".")
        if rest and rest.split(".")[0] != self.namespace["name"]:
            return None
        return self.named("Service", name)

    def most(self, app):
        """How many pods of an app there may be."""
        for scaler in self.of("HorizontalPodAutoscaler", "ScaledObject"):
            if scaler["spec"]["scaleTargetRef"]["name"] == app.name:
                return scaler["spec"].get("maxReplicas") or scaler["spec"]["maxReplicaCount"]
        return app.body["spec"].get("replicas", 1)

    def connections(self):
        """How many connections the apps may have to PostgreSQL, when there are as many as may be."""
        return {
            app.name: self.most(app) * (own.database_connections + (app.name in LISTENERS))
            for app in self.apps
            if hasattr(own := self.settings[app.name], "database_connections")
        }

    def needed(self):
        """Who has to reach whom: names of source and target, and the port of its container."""
        for workload in self.workloads:
            for _, host, port in self.addresses(workload):
                service = self.inside(host)
                for entry in service["spec"]["ports"] if service else ():
                    if entry["port"] == port:
                        for target in self.selected(service["spec"]["selector"]):
                            number = target.ports.get(entry["targetPort"], entry["targetPort"])
                            yield workload.name, target.name, number

    def lets(self, way, source, target, port):
        """Whether the policies let `source` out to `target`, or into it, on a port of its container."""
        kept, other, peers = (source, target, "to") if way == "Egress" else (target, source, "from")
        return any(
            _ports(rule, target, port)
            and (peers not in rule or any(_is(peer, other) for peer in rule[peers]))
            for rule in self.rules[way, str(kept)]
        )

    @cached_property
    def rules(self):
        """What policies let pass, by way and by the workload that they keep."""
        return {
            (way, str(workload)): [
                rule
                for policy in self.of("NetworkPolicy")
                if way in policy["spec"]["policyTypes"]
                and matches(policy["spec"]["podSelector"], workload.labels)
                for rule in policy["spec"].get(way.lower(), ())
            ]
            for way in ("Ingress", "Egress")
            for workload in self.workloads
        }

    def may_leave(self, workload, port):
        """Whether a policy lets a workload reach somewhere outside of the cluster on a port."""
        return self._may_out(workload, {"port": port}, "ipBlock")

    def may_ask_for_names(self, workload):
        """Whether a policy lets a workload reach the cluster's DNS."""
        return self._may_out(workload, {"protocol": "UDP", "port": 53}, "namespaceSelector")

    def _may_out(self, workload, port, kind):
        return any(
            port in rule.get("ports", ()) and any(kind in peer for peer in rule["to"])
            for rule in self.rules["Egress", str(workload)]
        )


def _is(peer, workload):
    return "namespaceSelector" not in peer and matches(peer.get("podSelector"), workload.labels)


def _ports(rule, target, port):
    asked = [each["port"] for each in rule.get("ports", ())]
    return not asked or port in {target.ports.get(each, each) for each in asked}


def matches(selector, labels):
    """Whether a selector, of either form, selects these labels."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels", {} if "matchExpressions" in selector else selector)
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", ())
    )

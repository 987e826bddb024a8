"""What must be true of all that is deployed. A rule looks at a `World` and says what is wrong with it."""

import re
from fractions import Fraction

from bookstore.lab.system.topology import SYSTEM
from bookstore.service.health import PATIENCE
from bookstore.service.settings import SettingsError

from .world import APPS, COMMANDS, NAME, matches

CLOSING = 5
"""Seconds that an app may take for the rest, when its requests are done."""
ROLLOUT = 9 + 3
"""Connections of one pod more, and of PostgreSQL's administrators."""
BOOT = 30
"""Seconds that the slowest start may take."""
SECRET = re.compile(r"PASSWORD|SECRET|_KEY_ID$|^DATABASE_URL$|^REDIS_URL$|TOKEN$")
FOLDERS = {"COVERS_FOLDER", "EFFECTS_FILE"}
"""Settings that name a place to write to."""
UNITS = {"m": Fraction(1, 1000), "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "": 1}
PORTS = {"port", "control_port"}
"""Settings of ports that others reach; the gateway's ADMIN_PORT is for its own pod alone."""
RESTRICTED = "restricted"
DOOR = "gateway"
"""Who lets in everybody."""


def quantity(text):
    number, unit = re.fullmatch(r"([0-9.]+)(m|Ki|Mi|Gi|)", str(text)).groups()
    return Fraction(number) * UNITS[unit]


def probes(world):
    for app in world.apps:
        found = {name: app.container.get(f"{name}Probe") for name in ("startup", "liveness", "readiness")}
        for name, probe in found.items():
            path = "/health/ready" if name == "readiness" else "/health/live"
            if not probe:
                yield f"{app}: no {name} probe"
            elif probe.get("httpGet") != {"path": path, "port": "http"}:
                yield f"{app}: the {name} probe doesn't ask {path} on the port http"
            elif probe["timeoutSeconds"] <= PATIENCE:
                yield f"{app}: the {name} probe gives up before the health check does"
        startup = found["startup"]
        if startup and startup["periodSeconds"] * startup["failureThreshold"] < BOOT:
            yield f"{app}: killed before it has started"
    for store in world.lasting:
        if not {"startupProbe", "livenessProbe", "readinessProbe"} <= set(store.container):
            yield f"{store}: no probes"


def ports(world):
    for app in world.apps:
        own = world.settings[app.name]
        listens = {getattr(own, name) for name in PORTS if hasattr(own, name)}
        if listens and set(app.ports.values()) != listens:
            yield f"{app}: listens on {sorted(listens)} by its settings, not on {sorted(app.ports.values())}"
        if not world.named("Service", app.name):
            yield f"{app}: no Service of its name"
    for service in world.of("Service"):
        name, spec = service["metadata"]["name"], service["spec"]
        targets = [each for each in world.selected(spec["selector"]) if each.kind != "Job"]
        if [target.name for target in targets] != [name]:
            yield f"Service/{name}: selects {[str(target) for target in targets]}"
        for entry in spec["ports"]:
            for target in targets:
                if target.ports.get(entry["targetPort"]) != entry["port"]:
                    yield f"Service/{name}: port {entry['port']} isn't {target}'s {entry['targetPort']}"


def images(world):
    for workload in world.workloads:
        for container in workload.pod["containers"]:
            tag = container["image"].rpartition("/")[2].partition(":")[2]
            if not re.match(r"\d+\.\d+(\.\d+)?(-[\w.]+)?(@sha256:[0-9a-f]{64})?$", tag):
                yield f"{workload}: image {container['image']} may change under us"


def resources(world):
    for workload in world.workloads:
        for container in workload.pod["containers"]:
            found = container.get("resources", {})
            for name in ("cpu", "memory"):
                asked, most = (found.get(part, {}).get(name) for part in ("requests", "limits"))
                if asked is None or most is None:
                    yield f"{workload}: no requests and limits of {name}"
                elif quantity(asked) > quantity(most):
                    yield f"{workload}: asks for more {name} than it may have"


def security(world):
    labels = world.namespace.get("labels", {})
    if labels.get("pod-security.kubernetes.io/enforce") != RESTRICTED:
        yield "Namespace: lets in pods that aren't restricted"
    for workload in world.workloads:
        pod = workload.pod
        context = pod.get("securityContext", {})
        if not context.get("runAsNonRoot") or not context.get("runAsUser"):
            yield f"{workload}: may run as root"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{workload}: no seccomp profile"
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{workload}: gets a token of the cluster"
        if {"hostNetwork", "hostPID", "hostIPC"} & set(pod) or any("hostPath" in v for v in pod["volumes"]):
            yield f"{workload}: reaches into its node"
        if not world.named("ServiceAccount", pod.get("serviceAccountName")):
            yield f"{workload}: no ServiceAccount"
        for container in pod["containers"]:
            if container.get("securityContext") != {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }:
                yield f"{workload}: its container isn't restricted"


def writing(world):
    for workload in world.workloads:
        volumes = {volume["name"] for volume in workload.pod["volumes"]} | {
            claim["metadata"]["name"] for claim in workload.body["spec"].get("volumeClaimTemplates", ())
        }
        mounts = workload.container["volumeMounts"]
        places = {mount["mountPath"] for mount in mounts if not mount.get("readOnly")}
        if missing := {mount["name"] for mount in mounts} - volumes:
            yield f"{workload}: mounts {missing}, which isn't there"
        if "/tmp" not in places:  # noqa: S108 - a volume of the pod's own
            yield f"{workload}: no /tmp to write to"
        told = world.told(workload)
        for name in FOLDERS & set(told):
            if not any(told[name] == place or told[name].startswith(f"{place}/") for place in places):
                yield f"{workload}: {name} is nowhere that it may write to"
        if workload.name == "books" and not {"COVERS_FOLDER", "COVERS_S3_URL"} & set(told):
            yield f"{workload}: no place for covers"


def keeping(world):
    budgets = world.of("PodDisruptionBudget")
    for workload in world.lasting:
        own = [each for each in budgets if matches(each["spec"]["selector"], workload.labels)]
        if [each["metadata"]["name"] for each in own] != [workload.name]:
            yield f"{workload}: no PodDisruptionBudget of its own"
        if any(each["spec"].get("maxUnavailable", 0) < 1 for each in own):
            yield f"{workload}: its PodDisruptionBudget lets no node be emptied"
        if not matches(workload.body["spec"]["selector"], workload.labels):
            yield f"{workload}: its selector doesn't select its own pods"
    for app in world.apps:
        spread = app.pod.get("topologySpreadConstraints", ())
        if {each["topologyKey"] for each in spread} != {
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        } or not all(
            matches(each["labelSelector"], app.labels) and each["matchLabelKeys"] == [NAME] for each in spread
        ):
            yield f"{app}: isn't spread over nodes and zones"
        if app.body["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxUnavailable") != 0:
            yield f"{app}: a new version takes places away before it has any"


def leaving(world):
    for app in world.apps:
        own = world.settings[app.name]
        if isinstance(own, SettingsError):
            continue  # told by `settings`
        sleep = app.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if not sleep:
            yield f"{app}: is told to end before balancers know of it"
        # The worker finishes its answers, and then its jobs.
        finish = own.drain_finish * (2 if app.name == "orders-worker" else 1)
        needed = sleep + own.drain_announce + finish + CLOSING
        if app.pod.get("terminationGracePeriodSeconds", 30) < needed:
            yield f"{app}: is killed before the {needed:g} s that its leaving may take"


def settings(world):
    for app in world.apps:
        kind, aliases = APPS[app.name]
        told = world.told(app)
        known = {name.upper() for name in kind.__struct_fields__} | set(aliases)
        for name in told:
            if name not in known and not name.startswith("OTEL_"):
                yield f"{app}: {name} is no setting of it"
        own = world.settings[app.name]
        if isinstance(own, SettingsError):
            yield f"{app}: {own}"
        elif not getattr(own, "auth_required", True):
            yield f"{app}: gives everybody the operator's view"
        elif own.host != "0.0.0.0":
            yield f"{app}: can't be reached from outside of its pod"
        if app.pod.get("enableServiceLinks") is not False:
            yield f"{app}: links of Services would be settings that it doesn't know"
        if app.container.get("command") != COMMANDS[app.name]:
            yield f"{app}: isn't started with {' '.join(COMMANDS[app.name])}"


def secrets(world):
    for config in world.of("ConfigMap"):
        for name, value in config["data"].items():
            if SECRET.search(name) or re.search(r"://[^/\s]*:[^/\s]*@", value):
                yield f"ConfigMap/{config['metadata']['name']}: {name} is a secret"


def references(world):
    for workload in world.workloads:
        for variable in workload.container.get("env", ()):
            if "value" in variable and SECRET.search(variable["name"]):
                yield f"{workload}: {variable['name']} is a secret, and stands there"
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference and world.of("Secret"):
                there = world.named("Secret", reference["name"])
                if not there or reference["key"] not in there["data"]:
                    yield f"{workload}: there is no {reference['key']} in the secret {reference['name']}"
        for source in workload.container.get("envFrom", ()):
            if not world.named("ConfigMap", source["configMapRef"]["name"]):
                yield f"{workload}: there is no ConfigMap {source['configMapRef']['name']}"


def denials(world):
    everything = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    if not any(policy["spec"] == everything for policy in world.of("NetworkPolicy")):
        yield "NetworkPolicy: what isn't allowed isn't denied"
    for workload in world.workloads:
        if not world.may_ask_for_names(workload):
            yield f"{workload}: no names are to be had"


def flows(world):
    needed = set(world.needed())
    for source in world.workloads:
        for target in world.workloads:
            for port in target.ports.values():
                flow = source.name, target.name, port
                out = world.lets("Egress", source, target, port)
                into = world.lets("Ingress", source, target, port)
                if flow in needed and not (out and into):
                    yield f"{source}: can't reach {target.name} on {port}"
                elif flow not in needed and (out or (into and target.name != DOOR)):
                    yield f"{source}: may reach {target.name} on {port}, and has no reason to"


def addresses(world):
    for source in world.workloads:
        for scheme, host, port in world.addresses(source):
            service = world.inside(host)
            if service and port not in {entry["port"] for entry in service["spec"]["ports"]}:
                yield f"{source}: {host} has no port {port}"
            elif not service and "." not in host:
                yield f"{source}: nobody is called {host}"
            elif not service and not world.may_leave(source, port):
                yield f"{source}: can't reach {scheme} outside on {port}"


def scaling(world):
    scaled = {}
    for each in world.of("HorizontalPodAutoscaler", "ScaledObject"):
        spec, name = each["spec"], f"{each['kind']}/{each['metadata']['name']}"
        target = spec["scaleTargetRef"]["name"]
        least = spec.get("minReplicas", spec.get("minReplicaCount", 0))
        most = spec.get("maxReplicas", spec.get("maxReplicaCount", 0))
        if target not in {app.name for app in world.apps}:
            yield f"{name}: there is nothing called {target}"
        if target in scaled:
            yield f"{name}: {scaled[target]} scales {target} too"
        if not 2 <= least < most:
            yield f"{name}: from {least} to {most} is no room"
        scaled[target] = name
    for app in world.apps:
        if app.name in scaled and "replicas" in app.body["spec"]:
            yield f"{app}: says how many there are, and so does {scaled[app.name]}"
        if app.name == "gateway":
            scaler = world.named("HorizontalPodAutoscaler", "gateway")
            count = scaler["spec"]["minReplicas"] if scaler else app.body["spec"].get("replicas", 1)
            if int(world.told(app).get("GATEWAY_REPLICAS", "1")) != count:
                yield f"{app}: GATEWAY_REPLICAS isn't {count}"


def connections(world):
    """A rollout has one pod more of each, and PostgreSQL keeps some for its administrators."""
    server = next((each for each in world.workloads if each.name == "postgres"), None)
    for argument in server.container["args"] if server else ():
        name, _, most = argument.partition("=")
        needed = sum(world.connections().values()) + ROLLOUT
        if name == "max_connections" and int(most) < needed:
            yield f"{server}: takes fewer than the {needed} connections that there may be"


def migrations(world):
    owners = {name.removesuffix("_db") for name in SYSTEM.databases}
    jobs = {each.name: each for each in world.workloads if each.kind == "Job"}
    for owner in owners:
        job, app = jobs.get(f"{owner}-migration"), world.named("Deployment", owner)
        if not job:
            yield f"Job/{owner}-migration: isn't there"
            continue
        if job.container["command"] != ["python", "-m", "bookstore.service.migrate", f"bookstore.{owner}"]:
            yield f"{job}: doesn't migrate bookstore.{owner}"
        if job.container["image"] != app["spec"]["template"]["spec"]["containers"][0]["image"]:
            yield f"{job}: is of another version than its app"
        if "ttlSecondsAfterFinished" not in job.body["spec"]:
            yield f"{job}: stays for ever, and the next one can't come"


def scraping(world):
    for monitor in world.of("ServiceMonitor"):
        endpoints = {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]}
        jobs = {
            service["metadata"]["labels"][monitor["spec"]["jobLabel"]]
            for service in world.of("Service")
            if matches(monitor["spec"]["selector"], service["metadata"]["labels"])
            and endpoints & {entry["name"] for entry in service["spec"]["ports"]}
        }
        if jobs != {app.name for app in world.apps}:
            yield f"ServiceMonitor: asks {sorted(jobs)}"


RULES = [
    probes,
    ports,
    images,
    resources,
    security,
    writing,
    keeping,
    leaving,
    settings,
    secrets,
    references,
    denials,
    flows,
    addresses,
    scaling,
    connections,
    migrations,
    scraping,
]


def faults(world):
    """All that is wrong."""
    return [fault for rule in RULES for fault in rule(world)]

"""Mistakes that people make in such files, each with the words in which it is found out."""

import base64
import re
from typing import NamedTuple


class Mistake(NamedTuple):
    """A change for the worse: in which resource, what, and what is said of it."""

    where: str
    change: object
    said: str


class Rendered(dict):
    """Resources by `Kind/name`, without the suffix of what was generated."""

    def __init__(self, resources):
        super().__init__()
        for each in resources:
            name = each["metadata"]["name"]
            if each["kind"] in {"ConfigMap", "Secret"}:
                name = re.sub(r"-[0-9a-z]{10}$", "", name)
            self[f"{each['kind']}/{name}"] = each


def merged(old, new):
    """The old with changes: None takes a field away, a list takes the place of another."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    whole = old | {name: merged(old.get(name), value) for name, value in new.items()}
    return {name: value for name, value in whole.items() if value is not None}


def container(**changes):
    """Change the fields of the container; None takes one away."""

    def change(body):
        pod = body["spec"]["template"]["spec"]
        pod["containers"][0] = merged(pod["containers"][0], changes)

    return change


def pod(**changes):
    """Change the fields of the pod."""

    def change(body):
        body["spec"]["template"]["spec"] = merged(body["spec"]["template"]["spec"], changes)

    return change


def spec(**changes):
    def change(body):
        body["spec"] = merged(body["spec"], changes)

    return change


def data(**changes):
    def change(body):
        body["data"] = merged(body["data"], changes)

    return change


def secret(name, value):
    return data(**{name: value and base64.b64encode(value.encode()).decode()})


def labels(**changes):
    def change(body):
        body["metadata"]["labels"] = merged(
            body["metadata"]["labels"], {name.replace("__", "/"): value for name, value in changes.items()}
        )

    return change


def version(name):
    return lambda body: body.update(apiVersion=name)


def extra(name, value):
    """Say a setting in the Deployment itself."""

    def change(body):
        container = body["spec"]["template"]["spec"]["containers"][0]
        container["env"] = [*container.get("env", ()), {"name": name, "value": value}]

    return change


GONE = "gone"
"""The whole resource is missing."""

ON_ONE_MACHINE = [
    # Probes.
    Mistake("Deployment/books", container(startupProbe=None), "Deployment/books: no startup probe"),
    Mistake("Deployment/orders", container(livenessProbe=None), "Deployment/orders: no liveness probe"),
    Mistake("Deployment/monitor", container(readinessProbe=None), "Deployment/monitor: no readiness probe"),
    Mistake(
        "Deployment/orders",
        container(livenessProbe={"httpGet": {"path": "/health"}}),
        "the liveness probe doesn't ask /health/live",
    ),
    Mistake(
        "Deployment/orders",
        container(readinessProbe={"httpGet": {"path": "/health"}}),
        "doesn't ask /health/ready",
    ),
    Mistake("Deployment/supplier", container(livenessProbe={"httpGet": {"port": 5003}}), "on the port http"),
    Mistake("Deployment/books", container(readinessProbe={"timeoutSeconds": 1}), "gives up before"),
    Mistake(
        "Deployment/books", container(startupProbe={"failureThreshold": 5}), "killed before it has started"
    ),
    Mistake("StatefulSet/postgres", container(readinessProbe=None), "StatefulSet/postgres: no probes"),
    # Ports.
    Mistake(
        "Deployment/orders",
        container(ports=[{"name": "http", "containerPort": 8080}]),
        "Deployment/orders: listens on [8082] by its settings, not on [8080]",
    ),
    Mistake(
        "Service/books",
        spec(ports=[{"name": "http", "port": 80, "targetPort": "http"}]),
        "Service/books: port 80 isn't",
    ),
    Mistake(
        "Service/books",
        spec(ports=[{"name": "http", "port": 8001, "targetPort": "web"}]),
        "Service/books: port 8001 isn't Deployment/books's web",
    ),
    Mistake("Service/books", GONE, "Deployment/books: no Service of its name"),
    Mistake("Service/books", spec(selector={"app.kubernetes.io/name": "book"}), "Service/books: selects []"),
    Mistake(
        "Service/books",
        spec(selector={"app.kubernetes.io/name": None, "app.kubernetes.io/part-of": "bookstore"}),
        "Service/books: selects ['Deployment/accounts', 'Deployment/books'",
    ),
    Mistake(
        "ConfigMap/orders", data(PORT="9000"), "orders: listens on [9000] by its settings, not on [8082]"
    ),
    # Images.
    Mistake("Deployment/books", container(image="bookstore-books"), "may change under us"),
    Mistake(
        "Deployment/books", container(image="bookstore-books:latest"), "bookstore-books:latest may change"
    ),
    Mistake("StatefulSet/postgres", container(image="postgres:18"), "postgres:18 may change under us"),
    Mistake(
        "Job/books-migration",
        container(image="bookstore-books:0.0.9"),
        "Job/books-migration: is of another version than its app",
    ),
    # Resources.
    Mistake("Deployment/books", container(resources=None), "no requests and limits of cpu"),
    Mistake("Deployment/books", container(resources={"limits": {"memory": None}}), "limits of memory"),
    Mistake(
        "Deployment/books", container(resources={"requests": {"cpu": "1500m"}}), "asks for more cpu than"
    ),
    # Rights.
    Mistake(
        "Namespace/bookstore",
        labels(**{"pod-security.kubernetes.io__enforce": "baseline"}),
        "Namespace: lets in pods that aren't restricted",
    ),
    Mistake("Deployment/books", pod(securityContext={"runAsNonRoot": None}), "may run as root"),
    Mistake("Deployment/books", pod(securityContext={"runAsUser": 0}), "Deployment/books: may run as root"),
    Mistake("Deployment/books", pod(securityContext={"seccompProfile": None}), "no seccomp profile"),
    Mistake("Deployment/books", pod(automountServiceAccountToken=True), "gets a token of the cluster"),
    Mistake("Deployment/books", pod(hostNetwork=True), "reaches into its node"),
    Mistake(
        "Deployment/books", pod(volumes=[{"name": "x", "hostPath": {"path": "/"}}]), "reaches into its node"
    ),
    Mistake("Deployment/books", pod(serviceAccountName="book"), "Deployment/books: no ServiceAccount"),
    *(
        Mistake("Deployment/books", container(securityContext=wrong), "its container isn't restricted")
        for wrong in (
            None,
            {"readOnlyRootFilesystem": False},
            {"allowPrivilegeEscalation": True},
            {"capabilities": {"drop": ["NET_RAW"]}},
            {"privileged": True},
        )
    ),
    # Places to write to.
    Mistake("Deployment/books", container(volumeMounts=[]), "no /tmp to write to"),
    Mistake("ConfigMap/books", data(COVERS_FOLDER="covers"), "COVERS_FOLDER is nowhere that it may write to"),
    Mistake("ConfigMap/books", data(COVERS_FOLDER=None), "Deployment/books: no place for covers"),
    Mistake("ConfigMap/supplier", data(EFFECTS_FILE="/var/effects"), "EFFECTS_FILE is nowhere"),
    Mistake(
        "Deployment/books",
        container(volumeMounts=[{"name": "cover", "mountPath": "/covers"}]),
        "Deployment/books: mounts {'cover'}, which isn't there",
    ),
    # Being kept.
    Mistake("PodDisruptionBudget/books", GONE, "Deployment/books: no PodDisruptionBudget of its own"),
    Mistake(
        "PodDisruptionBudget/books",
        spec(selector={"matchLabels": {"app.kubernetes.io/name": "orders"}}),
        "Deployment/orders: no PodDisruptionBudget of its own",
    ),
    Mistake(
        "PodDisruptionBudget/books",
        spec(maxUnavailable=None, minAvailable=1),
        "Deployment/books: its PodDisruptionBudget lets no node be emptied",
    ),
    Mistake(
        "Deployment/books",
        spec(selector={"matchLabels": {"app.kubernetes.io/name": "book"}}),
        "its selector doesn't select its own pods",
    ),
    Mistake("Deployment/books", pod(topologySpreadConstraints=None), "isn't spread over nodes and zones"),
    Mistake(
        "Deployment/books",
        spec(strategy={"rollingUpdate": {"maxUnavailable": 1}}),
        "a new version takes places away before it has any",
    ),
    # Leaving.
    Mistake(
        "Deployment/books", pod(terminationGracePeriodSeconds=20), "before the 23 s that its leaving may"
    ),
    Mistake("Deployment/orders-worker", pod(terminationGracePeriodSeconds=25), "killed before the 26 s"),
    Mistake("ConfigMap/books", data(DRAIN_FINISH="20"), "Deployment/books: is killed before the 33 s"),
    Mistake("Deployment/books", container(lifecycle=None), "is told to end before balancers know of it"),
    # Settings.
    Mistake("ConfigMap/books", data(CACHE_TLL="30"), "Deployment/books: CACHE_TLL is no setting of it"),
    Mistake(
        "ConfigMap/common", data(AUTH_REQUIRED="true"), "Deployment/gateway: AUTH_REQUIRED is no setting"
    ),
    Mistake("ConfigMap/books", data(CACHE_TTL="soon"), "Deployment/books: CACHE_TTL: "),
    Mistake("ConfigMap/orders", data(BOOKS_SERVICE_URL=None), "BOOKS_SERVICE_URL: required, but not set"),
    Mistake(
        "ConfigMap/orders", data(AUTH_REQUIRED=None), "Deployment/orders: gives everybody the operator's"
    ),
    Mistake("ConfigMap/common", data(HOST="127.0.0.1"), "can't be reached from outside of its pod"),
    Mistake("Deployment/books", pod(enableServiceLinks=None), "links of Services would be settings"),
    Mistake(
        "Deployment/orders", container(command=["python", "-m", "bookstore.order"]), "isn't started with"
    ),
    # Secrets.
    Mistake("ConfigMap/books", data(SERVICE_SECRET="x" * 40), "ConfigMap/books-"),
    Mistake("ConfigMap/monitor", data(TARGETS="postgres=postgresql://a:b@c:5"), "TARGETS is a secret"),
    Mistake("Deployment/books", extra("COVERS_S3_SECRET", "abc"), "COVERS_S3_SECRET is a secret, and stands"),
    Mistake("Secret/services", GONE, "there is no SERVICE_SECRET in the secret services-"),
    Mistake("Secret/books", secret("REDIS_URL", None), "there is no REDIS_URL in the secret books-"),
    Mistake("ConfigMap/books", GONE, "Deployment/books: there is no ConfigMap books-"),
    # Who may speak to whom.
    Mistake("NetworkPolicy/default-deny", GONE, "what isn't allowed isn't denied"),
    Mistake("NetworkPolicy/default-deny", spec(policyTypes=["Ingress"]), "what isn't allowed isn't denied"),
    Mistake("NetworkPolicy/dns", GONE, "no names are to be had"),
    Mistake("NetworkPolicy/books", GONE, "Deployment/orders: can't reach books on 8001"),
    Mistake("NetworkPolicy/to-postgres", GONE, "Job/books-migration: can't reach postgres on 5432"),
    Mistake(
        "NetworkPolicy/books",
        spec(ingress=[{}]),
        "Deployment/accounts: may reach books on 8001, and has no reason to",
    ),
    Mistake(
        "ConfigMap/orders",
        data(BOOKS_SERVICE_URL="http://catalogue:8001"),
        "Deployment/orders: nobody is called catalogue",
    ),
    Mistake(
        "ConfigMap/orders", data(BOOKS_SERVICE_URL="http://books:8002"), "orders: books has no port 8002"
    ),
    Mistake("ConfigMap/monitor", data(TARGETS="books=http://books:8001"), "may reach gateway on 8080"),
    Mistake(
        "StatefulSet/postgres",
        container(args=["-c", "max_connections=40"]),
        "takes fewer than the 53 connections",
    ),
    # Migrations.
    Mistake("Job/books-migration", GONE, "Job/books-migration: isn't there"),
    Mistake(
        "Job/books-migration",
        container(command=["python", "-m", "bookstore.service.migrate", "bookstore.orders"]),
        "Job/books-migration: doesn't migrate bookstore.books",
    ),
    Mistake("Job/books-migration", spec(ttlSecondsAfterFinished=None), "stays for ever"),
]

IN_A_CLUSTER = [
    Mistake(
        "HorizontalPodAutoscaler/books",
        spec(scaleTargetRef={"name": "book"}),
        "HorizontalPodAutoscaler/books: there is nothing called book",
    ),
    Mistake("HorizontalPodAutoscaler/orders", spec(maxReplicas=2), "orders: from 2 to 2 is no room"),
    Mistake("HorizontalPodAutoscaler/gateway", spec(minReplicas=3), "GATEWAY_REPLICAS isn't 3"),
    Mistake("Deployment/books", spec(replicas=3), "Deployment/books: says how many there are, and so does"),
    Mistake("ScaledObject/orders-worker", spec(minReplicaCount=0), "orders-worker: from 0 to 8 is no room"),
    Mistake("ScaledObject/orders-worker", spec(scaleTargetRef={"name": "books"}), "scales books too"),
    Mistake("ServiceMonitor/bookstore", spec(endpoints=[{"port": "web"}]), "ServiceMonitor: asks []"),
    Mistake(
        "ServiceMonitor/bookstore",
        spec(selector={"matchLabels": {"app.kubernetes.io/name": "books"}}),
        "ServiceMonitor: asks ['books']",
    ),
    Mistake("Service/books", labels(**{"app.kubernetes.io__name": "catalogue"}), "ServiceMonitor: asks ["),
    Mistake(
        "NetworkPolicy/to-the-internet", GONE, "Deployment/orders-worker: can't reach https outside on 443"
    ),
    Mistake("NetworkPolicy/to-redis", GONE, "Deployment/gateway: can't reach redis outside on 6379"),
    Mistake(
        "NetworkPolicy/to-postgres", GONE, "Job/orders-migration: can't reach postgresql outside on 5432"
    ),
    Mistake("ConfigMap/books", data(COVERS_S3_BUCKET=None), "Deployment/books: COVERS_S3_BUCKET: required"),
    Mistake("ConfigMap/orders-worker", data(SUPPLIER_SERVICE_URL=None), "SUPPLIER_SERVICE_URL: required"),
    Mistake(
        "ConfigMap/gateway", data(TRUSTED_PROXIES="10.0.0.1/8"), "TRUSTED_PROXIES: 10.0.0.1/8 has host bits"
    ),
]

MISSPELT = [
    Mistake(
        "Deployment/books", container(livenesProbe={"httpGet": {"port": 1}}), "'livenesProbe' was unexpected"
    ),
    Mistake("Deployment/books", spec(replica=2), "'replica' was unexpected"),
    Mistake("Deployment/books", pod(terminationGracePeriodSeconds="30s"), "'30s' is not of type"),
    Mistake("Deployment/books", spec(selector=None), "'selector' is a required property"),
    Mistake(
        "Deployment/books", container(lifecycle={"preStop": {"sleep": {"second": 5}}}), "'second' was unexp"
    ),
    Mistake("Service/books", spec(ports=[{"prot": 8001}]), "'prot' was unexpected"),
    Mistake("Job/books-migration", spec(ttlSecondsAfterFinish=600), "'ttlSecondsAfterFinish' was unexpected"),
    Mistake("NetworkPolicy/books", spec(ingress=[{"form": []}]), "'form' was unexpected"),
    Mistake("PodDisruptionBudget/books", spec(maxUnavailible=1), "'maxUnavailible' was unexpected"),
    Mistake("HorizontalPodAutoscaler/books", spec(maxReplicas=None), "'maxReplicas' is a required property"),
    Mistake("HorizontalPodAutoscaler/books", version("autoscaling/v2beta2"), "there is no such kind"),
    Mistake("ScaledObject/orders-worker", spec(pollInterval=5), "'pollInterval' was unexpected"),
    Mistake(
        "ScaledObject/orders-worker",
        spec(triggers=[{"type": "postgresql", "metadata": {"query": "SELECT 1"}}]),
        "'targetQueryValue' is a required property",
    ),
    Mistake("TriggerAuthentication/ledger", spec(secretTargetRefs=[]), "'secretTargetRefs' was unexpected"),
    Mistake(
        "ServiceMonitor/bookstore",
        spec(endpoints=[{"port": "http", "interval": "15"}]),
        "'15' does not match",
    ),
    Mistake("Ingress/gateway", spec(tsl=[]), "'tsl' was unexpected"),
]

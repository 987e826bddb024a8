"""Schemas of Kubernetes' own kinds, of several versions, and of the kinds that its extensions bring."""

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

VERSIONS = ("1.31.0", "1.34.0", "1.36.0")
"""The oldest that deploy/README.md promises, one in between, and a new one."""
SHARED = "/api/_definitions.json#/$defs/"
OWN = Path(__file__).with_name("schemas")
"""Written by hand from the public fields of KEDA's and Prometheus' operator's kinds."""


def file_name(resource):
    """What the schema of a resource's kind is called: `deployment-apps-v1`."""
    group, _, version = resource["apiVersion"].rpartition("/")
    parts = [resource["kind"].lower(), group.partition(".")[0], version]
    return "-".join(part for part in parts if part)


@cache
def definitions(version):
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    return folder, json.loads((folder / "_definitions.json").read_text())["$defs"]


@cache
def schema(name, version):
    """The strict schema of a kind, with all that it refers to."""
    if (OWN / f"{name}.yaml").is_file():
        return yaml.safe_load((OWN / f"{name}.yaml").read_text())
    folder, shared = definitions(version)
    text = (folder / f"{name}.json").read_text().replace(SHARED, "#/$defs/")
    found, waiting = {}, referred(text)
    while waiting:
        one = waiting.pop()
        found[one] = shared[one]
        waiting |= referred(json.dumps(shared[one])) - set(found)
    return json.loads(text) | {"$defs": found}


def referred(text):
    return set(re.findall(r'"\$ref": "#/\$defs/([^"]+)"', text))


@cache
def validator(name, version):
    return Draft202012Validator(schema(name, version))


def faults(resources, version):
    """What the API server of that version would not take."""
    found = []
    for resource in resources:
        name = f"{resource['kind']}/{resource['metadata']['name']}"
        try:
            errors = validator(file_name(resource), version).iter_errors(resource)
        except FileNotFoundError:
            found.append(f"{name}: there is no such kind in {version}")
        else:
            found += [f"{name}: {error.json_path}: {error.message[:300]}" for error in errors]
    return found

"""Renders what `deploy/k8s` uses of kustomize, so that what comes out can be looked at where no kustomize is.

What isn't known here is an error, not left out. That the real one makes the same of it is a test, in
test_k8s_tools.py.
"""

import base64
import copy
import hashlib
import json
import re
from dataclasses import dataclass
from functools import partial

import yaml

FIELDS = {
    "apiVersion",
    "kind",
    "resources",
    "components",
    "patches",
    "configMapGenerator",
    "secretGenerator",
    "labels",
    "namespace",
    "replicas",
    "images",
}
MERGED_BY = {
    "containers": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""Lists that are merged, and by what; others are replaced."""
WIDTH = 70
REFERENCES = {
    "configMapRef": ("ConfigMap", "name"),
    "configMapKeyRef": ("ConfigMap", "name"),
    "configMap": ("ConfigMap", "name"),
    "secretRef": ("Secret", "name"),
    "secretKeyRef": ("Secret", "name"),
    "secret": ("Secret", "secretName"),
}
"""Where the name of a ConfigMap or a Secret stands."""


class Unknown(Exception):
    """Something of kustomize that nobody has taught this."""


@dataclass
class Made:
    """A resource. One that was generated is called by its content as well, so that pods notice a change."""

    body: dict
    generated: bool = False

    @property
    def key(self):
        return self.body["kind"], self.body["metadata"]["name"]


def build(folder):
    """The resources that `kustomize build` makes of a folder."""
    made = accumulate(folder, [])
    suffixes = {each.key: f"{each.key[1]}-{digest(each.body)}" for each in made if each.generated}
    for each in made:
        rename(each.body, suffixes)
        if each.generated:
            each.body["metadata"]["name"] = suffixes[each.key]
    return [each.body for each in made]


def accumulate(folder, made):
    """What is made already, and what this folder adds to it and changes of it."""
    file = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if strange := set(file) - FIELDS:
        raise Unknown(f"{folder}: {', '.join(sorted(strange))}")
    own = [] if file["kind"] == "Kustomization" else made
    for name in file.get("resources", ()):
        own += read(folder / name)
    for kind in ("ConfigMap", "Secret"):
        for asked in file.get(f"{kind[0].lower()}{kind[1:]}Generator", ()):
            generate(own, kind, asked, folder)
    for name in file.get("components", ()):
        accumulate(folder / name, own)
    for asked in file.get("patches", ()):
        patch(own, asked, folder)
    for each in own:
        finish(each.body, file)
    return own


def read(path):
    if path.is_dir():
        return accumulate(path.resolve(), [])
    return [Made(body) for body in yaml.safe_load_all(path.read_text()) if body]


def generate(made, kind, asked, folder):
    data = {}
    for name in asked.get("envs", ()):
        lines = (folder / name).read_text().splitlines()
        data |= dict(line.split("=", 1) for line in lines if line.strip() and not line.startswith("#"))
    data |= dict(literal.split("=", 1) for literal in asked.get("literals", ()))
    data |= {(folder / name).name: (folder / name).read_text() for name in asked.get("files", ())}
    if strange := set(asked) - {"name", "behavior", "envs", "literals", "files"}:
        raise Unknown(f"{folder}: {', '.join(strange)} of a generator")
    if kind == "Secret":
        data = {name: encoded(text) for name, text in data.items()}
    there = [each for each in made if each.key == (kind, asked["name"])]
    if asked.get("behavior") == "merge":
        [one] = there
        one.body["data"] |= data
        return
    if there:
        raise Unknown(f"{folder}: {kind} {asked['name']} is there already")
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": asked["name"]}, "data": data}
    made.append(Made(body | ({"type": "Opaque"} if kind == "Secret" else {}), generated=True))


def encoded(text):
    """Base64, in lines if it is long."""
    whole = base64.b64encode(text.encode()).decode()
    return whole if len(whole) <= WIDTH else re.sub(f".{{1,{WIDTH}}}", r"\g<0>\n", whole)


def patch(made, asked, folder):
    text = (folder / asked["path"]).read_text() if "path" in asked else asked["patch"]
    change = yaml.safe_load(text)
    if not isinstance(change, dict) or set(asked.get("target", ())) - {"kind"}:
        raise Unknown(f"{folder}: a patch of another kind")
    own = (change["kind"], change["metadata"]["name"])
    meant = [
        each
        for each in made
        if (each.key[0] == asked["target"]["kind"] if "target" in asked else each.key == own)
    ]
    if not meant and "target" not in asked:
        raise Unknown(f"{folder}: nothing to patch: {own}")
    for each in meant:
        if change.get("$patch") == "delete":
            made.remove(each)
        else:
            content = {name: part for name, part in change.items() if name != "metadata"}
            each.body = merged(each.body, content)


def merged(old, new):
    """A strategic merge."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return copy.deepcopy(new)
    whole = dict(old)
    for name, value in new.items():
        if value is None:
            whole.pop(name, None)
        elif isinstance(value, list) and name in MERGED_BY and isinstance(old.get(name), list):
            whole[name] = merged_list(old[name], value, MERGED_BY[name])
        else:
            whole[name] = merged(old.get(name), value)
    return whole


def merged_list(old, new, by):
    whole = {each[by]: each for each in old}
    for each in new:
        whole[each[by]] = merged(whole.get(each[by]), each)
    return list(whole.values())


def finish(body, file):
    """What is said of all resources of a folder."""
    pod = body.get("spec", {}).get("template")
    for asked in file.get("labels", ()):
        for place in [body] + ([pod] if pod and asked["includeTemplates"] else []):
            metadata = place.setdefault("metadata", {})
            metadata["labels"] = {**metadata.get("labels", {}), **asked["pairs"]}
    if "namespace" in file:
        # A namespace is in none: it gets the name.
        body["metadata"]["name" if body["kind"] == "Namespace" else "namespace"] = file["namespace"]
    for asked in file.get("replicas", ()):
        if body["kind"] in {"Deployment", "StatefulSet"} and body["metadata"]["name"] == asked["name"]:
            body["spec"]["replicas"] = asked["count"]
    for container in pod["spec"]["containers"] if pod else ():
        name, _, tag = container["image"].partition(":")
        for asked in file.get("images", ()):
            if asked["name"] == name:
                container["image"] = f"{asked.get('newName', name)}:{asked.get('newTag', tag)}"


def rename(part, suffixes):
    """Call generated things by their whole names wherever they are referred to."""
    if isinstance(part, list):
        for each in part:
            rename(each, suffixes)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in REFERENCES and isinstance(value, dict):
                kind, field = REFERENCES[name]
                value[field] = suffixes.get((kind, value.get(field)), value.get(field))
            rename(value, suffixes)


def digest(body):
    """What kustomize calls a content; its name isn't part of it."""
    content = {"kind": body["kind"], "name": "", "data": body["data"]}
    if body["kind"] == "Secret":
        content["type"] = body["type"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    as_go_writes = partial(re.sub, "[<>&]", lambda found: f"\\u{ord(found[0]):04x}")
    number = hashlib.sha256(as_go_writes(text).encode()).hexdigest()[:10]
    return number.translate(str.maketrans("013ae", "ghkmt"))

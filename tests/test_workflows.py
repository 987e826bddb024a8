"""What runs elsewhere is what runs here: workflows hold still, ask for little, and leave nothing out."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".github" / "workflows"
TEXTS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.yml"))}
SCRIPT = (ROOT / ".ci" / "run").read_text()
STEPS = set(re.search(r"^all=\((.*)\)$", SCRIPT, re.MULTILINE)[1].split())
PLAIN = set(re.search(r"^\(\(\$#\)\) \|\| set -- (.*)$", SCRIPT, re.MULTILINE)[1].split())
MEMBERS = sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("*/*/pyproject.toml"))
PYTHONS = Requirement(
    f"python{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['requires-python']}"
)
PROMISED = [f"3.{minor}" for minor in range(30) if PYTHONS.specifier.contains(f"3.{minor}") and minor != 14]

MAY_WRITE = {
    ("images", "push"): {"packages"},
    ("release", "publish"): {"id-token", "attestations"},
}
"""Jobs that may do more than read, and what."""
MINUTES = 30
LISTS = {"members": ".ci/run members", "apps": ".ci/run apps"}
"""What a matrix may be made of, and the command that lists it."""


def complaints(texts):
    """What is wrong with these workflows, a line each."""
    workflows = {name: yaml.safe_load(text) for name, text in texts.items()}
    run = set()
    for name, text in texts.items():
        yield from floating(name, text)
        if workflows[name]["permissions"] != {}:
            yield f"{name}: gives every job permissions"
        if "pull_request_target" in workflows[name][True]:  # `on`, as YAML 1.1 reads it
            yield f"{name}: runs what strangers send with our rights"
        for job_name, job in workflows[name]["jobs"].items():
            where = f"{name}, {job_name}"
            yield from permitted(name, job_name, job)
            yield from (f"{where}: {each}" for each in of_step(job))
            yield from (f"{where}: {each}" for each in of_matrix(job, workflows[name]["jobs"]))
            for step in job["steps"]:
                run.update(re.findall(r"\.ci/run (\w+)", step.get("run", "")))
                if ".ci/run" in step.get("run", "") and re.search(r"\.ci/run *$", step["run"]):
                    run |= PLAIN
    yield from (f".ci/run {step}: no job runs it" for step in sorted(STEPS - run))


def floating(name, text):
    """Actions that may change under us."""
    for action, version in re.findall(r"uses: (\S+)(.*)", text):
        if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action):
            yield f"{name}: {action} may change under us"
        elif not re.fullmatch(r" # v\d+\.\d+\.\d+", version):
            yield f"{name}: {action} doesn't say which version it is"


def permitted(name, job_name, job):
    writes = {key for key, value in job.get("permissions", {"all": "write"}).items() if value == "write"}
    if not writes <= MAY_WRITE.get((name, job_name), set()):
        yield f"{name}, {job_name}: may write {', '.join(sorted(writes))}"


def of_step(job):
    if not job.get("timeout-minutes", 360) <= MINUTES:
        yield "may take for ever"
    for step in job["steps"]:
        checkout = step.get("uses", "").startswith("actions/checkout@")
        if checkout and step.get("with", {}).get("persist-credentials") is not False:
            yield "leaves credentials behind for whatever comes next"
        for word in re.findall(r"\.ci/run (\w+)", step.get("run", "")):
            if word not in STEPS and f".ci/run {word}" not in LISTS.values():
                yield f".ci/run has no step {word}"


def of_matrix(job, jobs):
    matrix = job.get("strategy", {}).get("matrix", {})
    if "python" in matrix and matrix["python"] != PROMISED:
        yield f"leaves out Python {', '.join(sorted({*PROMISED} - {*matrix['python']}))}"
    for of in {"member": "members", "app": "apps"}.items():
        if of[0] in matrix:
            listed = re.fullmatch(
                rf"\$\{{\{{ fromJSON\(needs\.(\w+)\.outputs\.{of[1]}\) \}}\}}", str(matrix[of[0]])
            )
            if listed is None:
                yield f"has a list of {of[1]} of its own, which leaves out whoever is new"
            elif not any(LISTS[of[1]] in step.get("run", "") for step in jobs[listed[1]]["steps"]):
                yield f"takes its {of[1]} from where they aren't listed"


def test_the_workflows_are_content():
    assert list(complaints(TEXTS)) == []


CHECKOUT = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd"
MISTAKES = [
    # what, in which workflow, what stands there, what stands there then, what is said
    ("an action by its tag", "ci", f"{CHECKOUT} # v6.0.2", "actions/checkout@v6", "@v6 may change under us"),
    ("an action by a short digest", "ci", CHECKOUT, "actions/checkout@de0fac2", "@de0fac2 may change"),
    ("an action by a branch", "release", re.compile(r"upload-artifact@\S+"), "upload-artifact@main", "@main"),
    ("a digest of no version", "release", " # v7.0.0", "", "doesn't say which version it is"),
    ("a step that isn't one", "ci", ".ci/run lowest", ".ci/run lowset", ".ci/run has no step lowset"),
    ("a step that nobody runs", "ci", ".ci/run lowest", ".ci/run long", ".ci/run lowest: no job runs it"),
    ("members by hand", "ci", "${{ fromJSON(needs.members.outputs.members) }}", "[apps/books]", "of its own"),
    ("members from nowhere", "ci", ".ci/run members", "ls -d apps/*", "from where they aren't listed"),
    ("a Python left out", "ci", '["3.11", "3.12", "3.13"]', '["3.11", "3.13"]', "leaves out Python 3.12"),
    ("a right too many", "ci", "contents: read", "contents: write", "may write contents"),
    ("rights for all", "release", "permissions: {}", "permissions: {packages: read}", "gives every job"),
    ("credentials left", "images", "persist-credentials: false", "persist-credentials: true", "credentials"),
    ("a job without an end", "ci", "    timeout-minutes: 15\n", "", "may take for ever"),
    ("a stranger with our rights", "ci", "pull_request:", "pull_request_target:", "with our rights"),
]  # fmt: skip


@pytest.mark.parametrize("mistake", [pytest.param(each, id=each[0]) for each in MISTAKES])
def test_a_seeded_mistake_is_found(mistake):
    _, name, before, after, said = mistake
    changed = re.sub(
        before if isinstance(before, re.Pattern) else re.escape(before), lambda _: after, TEXTS[name]
    )
    assert changed != TEXTS[name]
    found = list(complaints({**TEXTS, name: changed}))
    assert [each for each in found if said in each], found


@pytest.mark.parametrize(("verb", "listed"), [
    ("members", MEMBERS),
    ("apps", [member.removeprefix("apps/") for member in MEMBERS if member.startswith("apps/")]),
])  # fmt: skip
def test_the_script_lists_what_is_there(verb, listed):
    told = subprocess.run([ROOT / ".ci/run", verb], capture_output=True, text=True, check=True)
    assert sorted(told.stdout.split()) == listed


def test_every_step_is_described_and_made():
    for step in STEPS:
        assert re.search(rf"^#   {step} ", SCRIPT, re.MULTILINE), step
        assert f"\n{step}() {{" in SCRIPT, step


def checked(schema, path):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, path]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_files_are_of_their_form():
    result = checked("vendor.github-workflows", FOLDER / "ci.yml")
    assert result.returncode == 0, result.stdout
    result = checked("vendor.dependabot", ROOT / ".github/dependabot.yml")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_that_isnt_of_its_form_is_found(name, tmp_path):
    (tmp_path / "broken.yml").write_text(TEXTS[name].replace("runs-on:", "runs-at:"))
    assert checked("vendor.github-workflows", tmp_path / "broken.yml").returncode == 1


def test_a_name_that_a_stranger_chooses_is_never_part_of_a_command(tmp_path):
    """What zizmor sees, and `.ci/run lint` asks it."""
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    seeded = TEXTS["ci"].replace("run: .ci/run long", "run: echo ${{ github.event.pull_request.title }}")
    (folder / "ci.yml").write_text(seeded)
    command = [
        Path(sys.executable).with_name("zizmor"),
        "--offline",
        "--quiet",
        "--format",
        "plain",
        tmp_path,
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode != 0
    assert "template-injection" in found.stdout

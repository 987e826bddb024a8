"""A wheel that lacks something is found: what ought to be in it is read off the sources, not off a list."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
MEMBER = ROOT / "apps" / "gateway"
"""One with data beside its modules."""

_spec = importlib.util.spec_from_file_location("wheels", ROOT / ".ci" / "wheels.py")
wheels = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wheels)


@pytest.fixture
def member(tmp_path):
    """A copy of the member, in a repository of its own."""
    copy = tmp_path / MEMBER.name
    shutil.copytree(MEMBER, copy, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    subprocess.run(["git", "init", "--quiet", copy], check=True)
    return copy


def built(member):
    subprocess.run(
        ["uv", "build", "--quiet", "--offline", "--wheel", "--out-dir", member / "dist", member], check=True
    )
    [wheel] = (member / "dist").glob("*.whl")
    return wheel


def edit(member, before, after):
    path = member / "pyproject.toml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def found(member):
    return [each.split(".whl ")[1] for each in wheels.complaints(built(member), member)]


def test_a_whole_wheel_is_content(member):
    assert found(member) == []


def test_data_left_out_is_found(member):
    edit(
        member,
        'module-name = "bookstore.gateway"',
        'module-name = "bookstore.gateway"\nwheel-exclude = ["*.toml"]',
    )
    assert found(member) == ["lacks bookstore/gateway/config/default.toml"]


def test_data_that_is_new_is_asked_for_without_being_told(member):
    (member / "src/bookstore/gateway/page.html").touch()
    edit(
        member,
        'module-name = "bookstore.gateway"',
        'module-name = "bookstore.gateway"\nwheel-exclude = ["*.html"]',
    )
    assert found(member) == ["lacks bookstore/gateway/page.html"]


def test_what_isnt_ours_is_found(member):
    (member / ".gitignore").write_text("*.secret\n")
    (member / "src/bookstore/gateway/key.secret").touch()
    assert found(member) == ["has bookstore/gateway/key.secret, which isn't ours"]


def test_a_licence_and_addresses_are_asked_for(member):
    edit(member, 'license-files = ["LICENSE"]\n', "")
    edit(member, "Source = ", "Elsewhere = ")
    (member / "LICENSE").unlink()
    assert found(member) == ["comes without a licence", "doesn't say where its Source is"]


def test_every_promised_python_is_tried():
    matrix = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["wheels"]["strategy"][
        "matrix"
    ]
    assert matrix["python"] == list(wheels.PROMISED)


@pytest.mark.parametrize(
    ("lacks", "excused"),
    [
        ("bookstore.resilience.redis redis", True),
        ("bookstore.resilience.otel opentelemetry", True),
        ("bookstore.resilience.metrics prometheus_client", True),
        ("bookstore.resilience.breaker msgspec", False),
        ("bookstore.resilience.redis redish", False),
    ],
)
def test_only_extras_may_be_missing(lacks, excused):
    assert bool(wheels.excused(ROOT / "packages/resilience").fullmatch(lacks)) is excused

"""Each app has an example of its env file, made of its settings; all that stands in it counts."""

import re
from pathlib import Path

import msgspec
import pytest
from compose_rules import KINDS

from bookstore.service.example import files
from bookstore.service.healthcheck import default_port
from bookstore.service.settings import SettingsError, load
from bookstore.service.tracing.settings import VARIABLES, read

ROOT = Path(__file__).parent.parent.parent
APPS = ROOT / "apps"
EXAMPLES = {
    "orders-worker": APPS / "orders" / ".env.queue.example",
    **{
        name: APPS / name / ".env.example" for name in KINDS if name not in {"orders-worker", "books-replica"}
    },
}
every_example = pytest.mark.parametrize("name", EXAMPLES)


def told(path):
    """What a file shows: the names, and for each whether it holds as it stands."""
    return {
        name: (value, not commented)
        for commented, name, value in re.findall(
            r"^(#?)([A-Z][A-Z0-9_]*)=(.*)$", path.read_text(), re.MULTILINE
        )
    }


def test_what_is_checked_in_is_what_the_generator_makes():
    made = files(APPS)
    assert {*made} == {*EXAMPLES.values()} == {*APPS.glob("*/.env*.example")}
    assert [path for path, text in made.items() if path.read_text() != text] == []


@every_example
def test_each_setting_is_shown_once_with_its_default(name):
    shown = told(EXAMPLES[name])
    kind = KINDS[name]
    fields = {field.name.upper(): field for field in msgspec.structs.fields(kind) if field.name != "otel"}
    assert {*shown} == {*fields, *VARIABLES}
    names = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", EXAMPLES[name].read_text(), re.MULTILINE)
    assert len(names) == len({*names})
    assert {each for each, (_, holds) in shown.items() if holds} == {
        each for each, field in fields.items() if field.required
    }


@every_example
def test_the_example_is_a_file_that_can_be_used(name, tmp_path):
    """As it stands, and with every line of it in force: nothing is other than by default."""
    text = EXAMPLES[name].read_text()
    everything = tmp_path / "everything"
    everything.write_text(re.sub(r"^#(?=[A-Z][A-Z0-9_]*=)", "", text, flags=re.MULTILINE))
    plain = load(KINDS[name], name, environ={"ENV_FILE": str(EXAMPLES[name])})
    needed = {
        field.name: getattr(plain, field.name)
        for field in msgspec.structs.fields(KINDS[name])
        if field.required
    }
    assert plain == KINDS[name](**needed)
    given = {
        each: value
        for each, (value, _) in told(EXAMPLES[name]).items()
        if value or each not in {"REDIS_URL", *VARIABLES}
    }
    assert load(KINDS[name], name, environ=given) == msgspec.structs.replace(
        plain, otel={each: value for each, value in given.items() if each.startswith("OTEL_")}
    )


def odd(field):
    """Something that a setting isn't by default, whatever it is."""
    return "false" if field.default is True else "true" if field.default is False else "77"


@every_example
def test_each_setting_is_listened_to(name):
    """Another value makes a difference, or is refused by name."""
    kind = KINDS[name]
    fields = [field for field in msgspec.structs.fields(kind) if field.name != "otel"]
    given = {
        field.name.upper(): value
        for field in fields
        if field.required
        for value in [told(EXAMPLES[name])[field.name.upper()][0]]
    }
    usual = load(kind, name, environ=given)
    for field in fields:
        try:
            heard = load(kind, name, environ={**given, field.name.upper(): odd(field)}) != usual
        except SettingsError as error:
            heard = field.name.upper() in str(error)
        assert heard, field.name


@every_example
def test_each_setting_is_used(name):
    """Somewhere in the code, beside where it is declared."""
    app = EXAMPLES[name].parent
    code = "\n".join(
        path.read_text()
        for folder in (app / "src", ROOT / "packages/service/src")
        for path in folder.rglob("*.py")
    )
    ports = {"port", "control_port", "admin_port"}  # by the name of the setting (`port_setting`)
    fields = {field.name for field in msgspec.structs.fields(KINDS[name])} - ports
    assert {field for field in fields if not re.search(rf"(settings|self)\.{field}\b", code)} == set()


ODD = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:4318",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://elsewhere:4318/here",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_HEADERS": "key=value",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "5",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    "OTEL_EXPORTER_OTLP_CERTIFICATE": "/some/file",
    "OTEL_TRACES_SAMPLER": "always_off",
    "OTEL_SERVICE_NAME": "shelves",
    "OTEL_RESOURCE_ATTRIBUTES": "key=value",
    "OTEL_BSP_MAX_QUEUE_SIZE": "5000",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "5",
    "OTEL_BSP_SCHEDULE_DELAY": "5",
}


def test_each_variable_of_traces_is_listened_to():
    assert {*VARIABLES} - {*ODD} == {"OTEL_TRACES_SAMPLER_ARG"}
    for name, value in ODD.items():
        assert read({name: value}) != read({}), name
    share = {"OTEL_TRACES_SAMPLER": "traceidratio"}
    assert read({**share, "OTEL_TRACES_SAMPLER_ARG": "0.1"}).sampler != read(share).sampler


def test_variables_of_traces_hold_by_default_what_is_shown():
    shown = {name: default for name, (default, _) in VARIABLES.items() if default}
    assert shown.pop("OTEL_TRACES_SAMPLER") == "parentbased_always_on"
    assert read(shown) == read({})


def test_the_page_of_the_kit_tells_of_the_same_variables():
    page = (ROOT / "packages/service/README.md").read_text()
    rows = re.findall(r"^\| (`OTEL_.*?) \| ?(.*?) ?\|", page, re.MULTILINE)
    found = {name: default for names, default in rows for name in re.findall(r"OTEL_\w+", names)}
    assert found == {name: default for name, (default, _) in VARIABLES.items()}


@pytest.mark.parametrize(
    "name", ["accounts", "books", "gateway", "monitor", "orders", "playground", "supplier"]
)
def test_a_container_knows_where_its_app_is_by_default(name):
    assert default_port(name) == msgspec.structs.fields(KINDS[name])[1].default

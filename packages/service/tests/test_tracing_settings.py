"""What the variables of OpenTelemetry mean here."""

import pytest

from bookstore.service.settings import Settings, load
from bookstore.service.tracing.settings import read

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, ""),
        ({ENDPOINT: ""}, ""),
        ({ENDPOINT: "http://tempo:4318"}, "http://tempo:4318/v1/traces"),
        ({ENDPOINT: "http://tempo:4318/otlp/"}, "http://tempo:4318/otlp/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://a/own", ENDPOINT: "http://b"}, "https://a/own"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4318/v1/traces"),
        ({"OTEL_TRACES_EXPORTER": "none", ENDPOINT: "http://tempo:4318"}, ""),
    ],
)
def test_where_spans_go(given, url):
    settings = read(given)
    assert (settings.url, settings.problems) == (url, [])


@pytest.mark.parametrize(
    "given",
    [
        {ENDPOINT: "tempo:4318"},
        {ENDPOINT: "http://tempo:port"},
        {"OTEL_TRACES_SAMPLER": "jaeger_remote"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
        {"OTEL_EXPORTER_OTLP_HEADERS": "just-words"},
        {"OTEL_EXPORTER_OTLP_HEADERS": "key=a%0d%0ax: y"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "-1"},
        {"OTEL_TRACES_EXPORTER": "zipkin"},
    ],
)
def test_what_cannot_be_understood_is_named_and_passed_over(given):
    (problem,) = read(given).problems
    assert problem.startswith("OTEL_")
    assert not any(value in problem for value in given.values())
    assert read(given).queue == 8192


def test_the_rest():
    settings = read({
        ENDPOINT: "http://a", "OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=a%20b, x=1",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=own", "OTEL_EXPORTER_OTLP_TIMEOUT": "250",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_RESOURCE_ATTRIBUTES": "team=books",
        "OTEL_SERVICE_NAME": "shop", "OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_SCHEDULE_DELAY": "50",
    })  # fmt: skip
    assert settings.headers == {"api-key": "own"}
    assert (settings.timeout, settings.gzip, settings.delay) == (0.25, True, 0.05)
    assert (settings.queue, settings.batch) == (10, 10)
    assert settings.attributes == {"team": "books", "service.name": "shop"}
    assert settings.problems == []


def test_they_come_from_the_environment_and_from_the_env_file(tmp_path):
    file = tmp_path / "env"
    file.write_text(f"{ENDPOINT}=http://file\nOTEL_SERVICE_NAME=books\n")
    environ = {"ENV_FILE": str(file), ENDPOINT: "http://environment", "PORT": "1", "OTHER": "x"}
    given = load(Settings, "books", environ=environ).otel
    assert given == {ENDPOINT: "http://environment", "OTEL_SERVICE_NAME": "books"}


LOW, HIGH = "a" * 16 + "0" * 15 + "1", "a" * 16 + "f" * 16


@pytest.mark.parametrize(
    ("name", "share", "root", "said_yes", "said_no"),
    [
        ("always_on", "", (True, True), True, True),
        ("always_off", "", (False, False), False, False),
        ("traceidratio", "0.5", (True, False), True, True),
        ("traceidratio", "0", (False, False), False, False),
        ("traceidratio", "1", (True, True), True, True),
        ("parentbased_always_on", "", (True, True), True, False),
        ("parentbased_always_off", "", (False, False), True, False),
        ("parentbased_traceidratio", "0.5", (True, False), True, False),
        ("", "", (True, True), True, False),
    ],
)
def test_which_traces_are_recorded(name, share, root, said_yes, said_no):
    sampled = read({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": share}).sampler
    assert (sampled(LOW, None), sampled(HIGH, None)) == root
    assert (sampled(LOW, True), sampled(LOW, False)) == (said_yes, said_no)

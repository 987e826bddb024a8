"""An OpenTelemetry Collector, for those who want one between the services and where traces are kept."""

from __future__ import annotations

from typing import Any

from bookstore.lab.observe import jaeger


def config() -> dict[str, Any]:
    """The configuration: whole traces are judged here, and go on by OTLP to TRACES_TO."""
    return {
        "receivers": jaeger.receivers(http="0.0.0.0:4318", grpc="0.0.0.0:4317"),
        "processors": jaeger.processors(),
        "exporters": {
            "otlphttp": {
                "endpoint": "${env:TRACES_TO:-http://jaeger:4318}",
                "retry_on_failure": {"max_elapsed_time": "60s"},
            }
        },
        "service": {
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "tail_sampling", "batch"],
                    "exporters": ["otlphttp"],
                }
            },
            "telemetry": {"metrics": {"level": "none"}},
        },
    }

"""Jaeger 2: takes spans, counts all of them, keeps those that are worth it, shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

LONGEST: Final = 200
"""Megabytes that it may take; beyond, spans are refused rather than the machine brought down."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where it listens, and where its Prometheus is."""

    screen: str = "localhost:16686"
    otlp_http: str = "localhost:4318"
    otlp_grpc: str = "localhost:4317"
    span_metrics: str = "localhost:8889"
    prometheus: str = "http://localhost:9090"


def config(places: Places | None = None) -> dict[str, Any]:
    """The configuration.

    Spans go two ways: into numbers, all of them; and into the store, whole traces at a time, after a wait for
    their last spans. What failed or was slow is always kept, of the rest KEEP_PERCENT, by default all.
    """
    at = places or Places()
    return {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {
                "traces/counted": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "batch"],
                    "exporters": ["spanmetrics"],
                },
                "traces/kept": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "tail_sampling", "batch"],
                    "exporters": ["jaeger_storage_exporter"],
                },
                "metrics/spans": {"receivers": ["spanmetrics"], "exporters": ["prometheus"]},
            },
            "telemetry": {
                "resource": {"service.name": "jaeger"},
                "metrics": {"level": "none"},
                "logs": {"level": "warn"},
            },
        },
        "extensions": {
            "jaeger_query": {
                "storage": {"traces": "kept", "metrics": "counted"},
                "http": {"endpoint": at.screen},
                # Else it tells of every look at it: to its own store, or to whoever else is on port 4317.
                "enable_tracing": False,
                # Nobody asks by gRPC: any port will do.
                "grpc": {"endpoint": "localhost:0"},
            },
            "jaeger_storage": {
                "backends": {"kept": {"memory": {"max_traces": 20000}}},
                "metric_backends": {
                    "counted": {
                        "prometheus": {
                            "endpoint": at.prometheus,
                            "normalize_calls": True,
                            "normalize_duration": True,
                        }
                    }
                },
            },
        },
        "connectors": {
            "spanmetrics": {
                "metrics_flush_interval": "5s",
                "dimensions": [{"name": "http.route"}, {"name": "error.type"}],
            }
        },
        "receivers": receivers(http=at.otlp_http, grpc=at.otlp_grpc),
        "processors": processors(),
        "exporters": {
            "jaeger_storage_exporter": {"trace_storage": "kept"},
            "prometheus": {"endpoint": at.span_metrics},
        },
    }


def receivers(**addresses: str) -> dict[str, Any]:
    """OTLP in each form for which there is an address."""
    return {"otlp": {"protocols": {form: {"endpoint": at} for form, at in addresses.items() if at}}}


def processors() -> dict[str, Any]:
    """What spans go through."""
    return {
        "memory_limiter": {"check_interval": "1s", "limit_mib": LONGEST, "spike_limit_mib": LONGEST // 4},
        "batch": {"timeout": "1s"},
        "tail_sampling": {
            "decision_wait": "5s",
            "num_traces": 20000,
            "policies": [
                {"name": "failed", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
                {"name": "slow", "type": "latency", "latency": {"threshold_ms": 500}},
                {
                    "name": "the-rest",
                    "type": "probabilistic",
                    "probabilistic": {"sampling_percentage": "${env:KEEP_PERCENT:-100}"},
                },
            ],
        },
    }

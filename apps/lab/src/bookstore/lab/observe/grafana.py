"""What Grafana is provisioned with: where the data is, and where the boards are."""

from __future__ import annotations

from typing import Any, Final

PROMETHEUS: Final = "prometheus"
JAEGER: Final = "jaeger"


def sources(
    prometheus: str = "http://localhost:9090", jaeger: str = "http://localhost:16686"
) -> dict[str, Any]:
    """Both sources know each other: an exemplar leads to its trace, a span to the numbers of its service."""
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Prometheus",
                "uid": PROMETHEUS,
                "type": "prometheus",
                "access": "proxy",
                "url": prometheus,
                "isDefault": True,
                "editable": False,
                "jsonData": {
                    "httpMethod": "POST",
                    "timeInterval": "5s",
                    "exemplarTraceIdDestinations": [{"name": "trace_id", "datasourceUid": JAEGER}],
                },
            },
            {
                "name": "Jaeger",
                "uid": JAEGER,
                "type": "jaeger",
                "access": "proxy",
                "url": jaeger,
                "editable": False,
                "jsonData": {
                    "tracesToMetrics": {
                        "datasourceUid": PROMETHEUS,
                        "spanStartTimeShift": "-10m",
                        "spanEndTimeShift": "10m",
                        "tags": [{"key": "service.name", "value": "job"}],
                        "queries": [
                            {
                                "name": "requests a second",
                                # Grafana puts variables of the environment where one dollar sign stands.
                                "query": "sum by (handler) (rate(http_requests_total{$$__tags}[5m]))",
                            }
                        ],
                    }
                },
            },
        ],
    }


def provider(folder: str = "/var/lib/grafana/boards") -> dict[str, Any]:
    """Where the boards are; nobody changes them in the browser, or two truths would drift apart."""
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "bookstore",
                "folder": "Bookstore",
                "type": "file",
                "allowUiUpdates": False,
                "disableDeletion": True,
                "options": {"path": folder},
            }
        ],
    }

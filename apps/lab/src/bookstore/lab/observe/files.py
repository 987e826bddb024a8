"""Everything in `otel/`, made of what the other modules here say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bookstore.lab.observe import collector, compose, grafana, jaeger, prometheus
from bookstore.lab.observe.boards import BOARDS
from bookstore.lab.observe.yaml import dump
from bookstore.lab.system.topology import SYSTEM

if TYPE_CHECKING:
    from pathlib import Path

MADE = "Made by `python -m bookstore.lab.observe otel`: change it there."


def files() -> dict[str, str]:
    """The text of each file, by its path in the folder."""
    jobs = {**prometheus.targets(SYSTEM, {}), "jaeger": [jaeger.Places().span_metrics]}
    made = {
        "prometheus/prometheus.yml": prometheus.config(jobs),
        **{f"prometheus/rules/{name}.yml": each for name, each in prometheus.rule_files().items()},
        **{f"prometheus/tests/{name}.yml": each for name, each in prometheus.test_files().items()},
        "jaeger/jaeger.yml": jaeger.config(),
        "collector/collector.yml": collector.config(),
        "grafana/provisioning/datasources/bookstore.yml": grafana.sources(),
        "grafana/provisioning/dashboards/bookstore.yml": grafana.provider(),
        "compose/prometheus.yml": compose.asked(SYSTEM),
        "compose/datasources.yml": compose.sources(),
        "compose/jaeger.yml": compose.traces(),
    }
    return {
        **{path: dump(data, MADE) for path, data in made.items()},
        **{f"grafana/boards/{board.uid}.json": board.json() for board in BOARDS},
    }


def write(folder: Path) -> None:
    """Write them all. Files that aren't made any more are removed, where only made ones are kept."""
    made = files()
    for name in {path.rpartition("/")[0] for path in made}:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for old in (folder / name).iterdir():
            if old.is_file() and str(old.relative_to(folder)) not in made:
                old.unlink()
    for path, text in made.items():
        (folder / path).write_text(text)

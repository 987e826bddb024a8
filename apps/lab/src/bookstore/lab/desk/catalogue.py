"""What can be run. Definitions are read and not checked: that would load every fault, for nothing."""

from __future__ import annotations

from functools import cache

from bookstore.contracts.lab import Runnable
from bookstore.lab.experiments import definition
from bookstore.lab.scenarios import guide
from bookstore.lab.system.prerequisites import missing


@cache
def catalogue() -> list[Runnable]:
    """All guides, and then all experiments that can be run on this machine."""
    guides = [
        Runnable(
            kind="scenario",
            name=each.number,
            title=each.title,
            says=", ".join(step.title for step in each.steps),
            tags=[],
            seconds=each.seconds,
        )
        for each in guide.library().values()
    ]
    experiments = [
        Runnable(
            kind="experiment",
            name=each.name,
            title=each.experiment.title,
            says=each.experiment.description,
            tags=each.experiment.tags,
            seconds=each.seconds,
        )
        for each in definition.library(check=False).values()
        if not missing(each.experiment.ours.needs)
    ]
    return [*guides, *experiments]

"""What an experiment says, in Chaos Toolkit's format; ours stands under `extensions`, where that is allowed.

Every activity is a function of this package: a definition can't run anything else.
"""

from __future__ import annotations

import hashlib
import inspect
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system.prerequisites import PREREQUISITES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OURS = "bookstore-lab"
OVERHEAD_SECONDS = 15
MODULES = ("bookstore.lab.experiments.actions", "bookstore.lab.experiments.probes")


class Provider(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A function of ours and its arguments."""

    type: Literal["python"]
    module: str
    func: str
    arguments: dict[str, Any] = {}


class Pauses(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Seconds to wait round an activity."""

    before: float = 0.0
    after: float = 0.0


class Activity(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Something that is done (`action`) or looked at (`probe`)."""

    type: Literal["action", "probe"]
    name: str
    provider: Provider
    tolerance: Any = None
    pauses: Pauses = msgspec.field(default_factory=Pauses)

    @property
    def function(self) -> Callable[..., Awaitable[Any]]:
        """The function.

        Raises:
            LookupError: there is none of that name, or it isn't for definitions.
        """
        if self.provider.module not in MODULES:
            raise LookupError(f"{self.provider.module} is no module of actions or probes")
        module = import_module(self.provider.module)
        found = getattr(module, self.provider.func, None)
        if not inspect.iscoroutinefunction(found):
            raise LookupError(f"{self.provider.module} has no {self.provider.func}")
        return found


class Hypothesis(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is true before the fault, and again afterwards."""

    title: str
    probes: list[Activity] = []


class Load(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The customers meanwhile."""

    rate: float = 10.0
    mix: dict[str, float] = msgspec.field(default_factory=lambda: {"order": 2.0, "browse": 1.0})
    door: Literal["gateway", "orders"] = "gateway"
    arrivals: Literal["constant", "poisson"] = "constant"


class Phases(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Seconds before the fault, under it, and after it from when all is well again.

    `drain`: within how many all has to be well, and again within how many nothing may be left to do.
    """

    baseline: float = 3.0
    fault: float = 6.0
    after: float = 4.0
    drain: float = 45.0


class Instance(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """How the system under test differs from `bookstore up`."""

    replicas: dict[str, int] = {}
    settings: dict[str, dict[str, str]] = {}


class Extension(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Our part.

    Attributes:
        invariants: what is judged, by name, with the parameters of each.
        watch: metrics to record, by a name of our own: service and the sample as the service writes it.
        needs: what this machine must have, of `PREREQUISITES`.
    """

    name: Literal["bookstore-lab"]
    seed: int = 7
    load: Load = msgspec.field(default_factory=Load)
    phases: Phases = msgspec.field(default_factory=Phases)
    instance: Instance = msgspec.field(default_factory=Instance)
    invariants: dict[str, dict[str, Any]] = {}
    watch: dict[str, tuple[str, str]] = {}
    needs: list[str] = []
    expected: Literal["valid", "unknown"] = "valid"


class Runtime(msgspec.Struct, kw_only=True):
    """How Chaos Toolkit itself would have to run this to do the same."""

    rollbacks: dict[str, str] = {}
    hypothesis: dict[str, str] = {}


class Experiment(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole definition."""

    title: str
    description: str
    method: list[Activity]
    rollbacks: list[Activity]
    extensions: list[Extension]
    tags: list[str] = []
    contributions: dict[str, str] = {}
    runtime: Runtime = msgspec.field(default_factory=Runtime)
    steady: Hypothesis = msgspec.field(name="steady-state-hypothesis")

    @property
    def ours(self) -> Extension:
        """Our part of it."""
        return self.extensions[0]


class Named(msgspec.Struct, frozen=True):
    """A definition with its name, and its text as it was written."""

    name: str
    experiment: Experiment
    text: bytes

    @property
    def seconds(self) -> int:
        """How long it takes, about: a start, its phases, and some time to become well and to drain."""
        phases = self.experiment.ours.phases
        return round(OVERHEAD_SECONDS + phases.baseline + phases.fault + phases.after)

    @property
    def digest(self) -> str:
        """What tells this definition from an earlier one of the same name."""
        return hashlib.sha256(self.text).hexdigest()[:12]


def parse(name: str, text: bytes, *, check: bool = True) -> Named:
    """A definition; with `check` it is seen that everything in it can be done, which needs all faults.

    Raises:
        LabError: it says something that can't be done.
    """
    try:
        experiment = msgspec.json.decode(text, type=Experiment)
        if check:
            _check(experiment)
    except (msgspec.DecodeError, LookupError, TypeError, ValueError) as error:
        raise LabError(f"The definition of {name} is wrong: {error}.", "Correct it.", Exit.USAGE) from error
    return Named(name, experiment, text)


def library(*, check: bool = True) -> dict[str, Named]:
    """All experiments that come along, by name."""
    folder = files("bookstore.lab.experiments") / "definitions"
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))
    names = [name[: -len(".json")] for name in found]
    return {name: parse(name, (folder / f"{name}.json").read_bytes(), check=check) for name in names}


def _check(experiment: Experiment) -> None:
    from bookstore.lab.experiments.invariants import INVARIANTS  # noqa: PLC0415 - they name definitions' types

    if len(experiment.extensions) != 1:
        raise LookupError(f"it needs one extension {OURS!r}")
    for activity in [*experiment.steady.probes, *experiment.method, *experiment.rollbacks]:
        inspect.signature(activity.function).bind(**activity.provider.arguments)
    ours = experiment.ours
    if unknown := sorted(set(ours.invariants) - set(INVARIANTS)):
        raise LookupError(f"nobody knows the invariant {unknown[0]!r}")
    for name, parameters in ours.invariants.items():
        inspect.signature(INVARIANTS[name]).bind(None, **parameters)
    if not ours.invariants:
        raise ValueError("nothing is to be judged")
    if unknown := sorted(set(ours.needs) - set(PREREQUISITES)):
        raise LookupError(f"nobody knows how to see whether there is {unknown[0]!r}")
    if ours.load.rate <= 0 or min(ours.phases.baseline, ours.phases.fault, ours.phases.after) < 0:
        raise ValueError("rates and times can't be negative")

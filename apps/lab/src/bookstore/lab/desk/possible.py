"""Which faults there are, and with which parameters: one table, made for what runs now. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from bookstore.contracts.faults import NewFault, Parameter, Parameters, PossibleFault
from bookstore.lab.desk.holds import NETWORK, Cut, Flushed, Frozen, Hold, Killed, Spoiled, Terminated
from bookstore.lab.desk.refused import RefusedError
from bookstore.lab.system.topology import INSTRUMENTS
from bookstore.lab.system.ways import WAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bookstore.contracts.faults import FaultKind, FaultValue
    from bookstore.lab.system.folder import StateFolder
    from bookstore.lab.system.record import Row

Make: TypeAlias = "Callable[[StateFolder, str, Parameters, str], Hold]"
"""A hold in a state folder, on a service, with parameters, by the identity of its fault."""


@dataclass(frozen=True)
class Offer:
    """A fault that can be made, and how it is made."""

    fault: PossibleFault
    make: Make


PROCESS: Mapping[str, tuple[str, Callable[[StateFolder, str], Hold]]] = {
    "kill": ("Killed with SIGKILL, and each time that it is started again", Killed),
    "freeze": ("Stands still with SIGSTOP: connections stay open, nothing answers", Frozen),
    "terminate": ("Told to end in good order with SIGTERM, and stays ended", Terminated),
}
MILLISECONDS = Parameter(default=200.0, least=1.0, most=10_000.0, unit="ms")
JITTER = Parameter(default=0.0, least=0.0, most=5_000.0, unit="ms")
RATE = Parameter(default=10.0, least=1.0, most=100_000.0, unit="KB/s")


def offers(rows: Sequence[Row]) -> list[Offer]:
    """All that can be made of what runs now."""
    return [*_processes(rows), *_stores(rows), *_network(rows)]


def chosen(rows: Sequence[Row], wish: NewFault) -> tuple[Offer, Parameters]:
    """What somebody wishes, with all its parameters.

    Raises:
        RefusedError: there is no such fault, or not with these parameters.
    """
    if wish.kind == "network" and not any(row.name == NETWORK for row in rows):
        raise RefusedError(
            503, "not-proxied", "The system has no proxies: start it with `bookstore up --proxied`."
        )
    key = (wish.service, wish.kind, wish.mode)
    for offer in offers(rows):
        if (offer.fault.service, offer.fault.kind, offer.fault.mode) == key:
            return offer, _checked(offer.fault.parameters, wish.parameters)
    raise RefusedError(422, "no-such-fault", f"{wish.service} can't be hit by {wish.kind} {wish.mode}.")


def _processes(rows: Sequence[Row]) -> list[Offer]:
    found: dict[str, list[str]] = {}
    for row in rows:
        # Not the desk itself: one that is frozen lets go of nothing.
        if row.kind == "app" and not row.door_of and row.name not in INSTRUMENTS:
            found.setdefault(row.name, []).append(row.instance)
    return [
        Offer(_fault(service, "process", mode, says, instance=_words(instances)), _by_instance(hold))
        for service, instances in found.items()
        for mode, (says, hold) in PROCESS.items()
    ]


def _stores(rows: Sequence[Row]) -> list[Offer]:
    # One that others run has no process of ours, and is none of our business.
    stores = [row.instance for row in rows if row.kind == "store" and row.pid is not None]
    frozen = "Stands still with SIGSTOP: connections stay open, nothing answers"
    found = [Offer(_fault(store, "store", "freeze", frozen), _frozen) for store in stores]
    if "redis" in stores:
        says = "Forgets everything (FLUSHALL), and again twice a second"
        found.append(Offer(_fault("redis", "store", "flush", says), _flushed))
    return found


def _network(rows: Sequence[Row]) -> list[Offer]:
    if not any(row.name == NETWORK for row in rows):
        return []
    # What others run has no process of ours, and no way of ours leads there.
    here = {row.name for row in rows if row.kind == "app" or row.pid is not None}
    targets: dict[str, list[str]] = {}
    for way in WAYS:
        if {way.source, way.target} <= here:
            targets.setdefault(way.source, []).append(way.target)
    found: list[Offer] = []
    for service, ends in targets.items():
        to = _words(ends)
        late = "Everything on this way is late, there and back"
        thin = "So much gets through on this way, each way, and no more"
        shut = "Connections on this way end, and new ones are refused"
        found += [
            Offer(
                _fault(service, "network", "latency", late, to=to, latency=MILLISECONDS, jitter=JITTER), _late
            ),
            Offer(_fault(service, "network", "bandwidth", thin, to=to, rate=RATE), _thin),
            Offer(_fault(service, "network", "cut", shut, to=to), _cut),
        ]
    return found


def _fault(service: str, kind: FaultKind, mode: str, says: str, **parameters: Parameter) -> PossibleFault:
    return PossibleFault(service=service, kind=kind, mode=mode, parameters=parameters, says=says)


def _words(choices: list[str]) -> Parameter:
    return Parameter(default=choices[0], choices=choices)


def _by_instance(hold: Callable[[StateFolder, str], Hold]) -> Make:
    def make(folder: StateFolder, _service: str, parameters: Parameters, _identity: str) -> Hold:
        return hold(folder, str(parameters["instance"]))

    return make


def _frozen(folder: StateFolder, service: str, _parameters: Parameters, _identity: str) -> Hold:
    return Frozen(folder, service)


def _flushed(folder: StateFolder, _service: str, _parameters: Parameters, _identity: str) -> Hold:
    return Flushed(folder)


def _way(service: str, parameters: Parameters) -> str:
    return next(way.name for way in WAYS if (way.source, way.target) == (service, parameters["to"]))


def _late(folder: StateFolder, service: str, parameters: Parameters, identity: str) -> Hold:
    attributes = {"latency": _half(parameters["latency"]), "jitter": _half(parameters["jitter"])}
    return Spoiled(folder, _way(service, parameters), identity, "latency", attributes)


def _thin(folder: StateFolder, service: str, parameters: Parameters, identity: str) -> Hold:
    return Spoiled(
        folder, _way(service, parameters), identity, "bandwidth", {"rate": round(float(parameters["rate"]))}
    )


def _cut(folder: StateFolder, service: str, parameters: Parameters, _identity: str) -> Hold:
    return Cut(folder, _way(service, parameters))


def _half(value: FaultValue) -> int:
    """A round trip is late by the whole of it."""
    return round(float(value) / 2)


def _checked(known: Mapping[str, Parameter], wished: Parameters) -> Parameters:
    if unknown := sorted(set(wished) - set(known)):
        raise RefusedError(422, "no-such-parameter", f"There is no parameter {unknown[0]!r} here.")
    return {name: _value(name, each, wished.get(name, each.default)) for name, each in known.items()}


def _value(name: str, parameter: Parameter, value: FaultValue) -> FaultValue:
    if parameter.choices is not None:
        if value in parameter.choices:
            return value
        raise RefusedError(422, "bad-parameter", f"{name} must be one of {', '.join(parameter.choices)}.")
    least, most = parameter.least or 0.0, parameter.most or 0.0
    if isinstance(value, str) or not least <= value <= most:
        raise RefusedError(422, "bad-parameter", f"{name} must be a number from {least:g} to {most:g}.")
    return value

"""The supplier's modes as failures that can be switched on: read off the shapes that it takes itself."""

from typing import Any, Final, get_args

import msgspec
from msgspec import inspect

from bookstore.contracts.faults import Fault, NewFault, Parameter, PossibleFault
from bookstore.contracts.supplier import CurrentMode, FailureMode, Normal
from bookstore.service.problem import Problem, invalid

SUPPLIER: Final = "supplier"
_APART: Final = ("lasting", "seed")
_UNITS: Final = {"delay": "s", "retry_after": "s", "rate": "share"}


def _parameter(field: inspect.Field) -> Parameter:
    kind: Any = field.type.type if isinstance(field.type, inspect.Metadata) else field.type
    return Parameter(default=field.default, least=kind.ge, most=kind.le, unit=_UNITS.get(field.name, ""))


def _possible(mode: type[msgspec.Struct]) -> PossibleFault:
    told: Any = inspect.type_info(mode)
    return PossibleFault(
        service=SUPPLIER,
        kind="supplier",
        mode=str(mode.__struct_config__.tag),
        parameters={each.name: _parameter(each) for each in told.fields if each.name not in _APART},
        says=(mode.__doc__ or "").strip().replace("`", ""),
    )


POSSIBLE: Final = [_possible(mode) for mode in get_args(FailureMode) if mode is not Normal]
"""What the supplier can suffer."""
_KNOWN: Final = {each.mode: each for each in POSSIBLE}


def mode_of(wanted: NewFault, path: str) -> FailureMode:
    """What the supplier is told.

    Raises:
        Problem: 422 if it isn't one of its modes, or not with these parameters.
    """
    known = _KNOWN.get(wanted.mode)
    if known is None or wanted.service != SUPPLIER:
        raise invalid(path, f"{wanted.mode}: is no failure of {wanted.service}")
    for name in wanted.parameters.keys() - known.parameters.keys():
        raise invalid(path, f"parameters.{name}: is no parameter of {wanted.mode}")
    try:
        mode: FailureMode = msgspec.convert(
            {"mode": wanted.mode, **wanted.parameters, "for": wanted.seconds}, FailureMode
        )
    except msgspec.ValidationError as error:
        raise invalid(path, f"parameters: {error}") from None
    return mode


def fault_of(current: CurrentMode, fault_id: str, by: str) -> Fault:
    """A mode of the supplier, as a failure that is switched on."""
    told = msgspec.structs.asdict(current)
    parameters = {
        name: told[name]
        for name in ("delay", "code", "retry_after", "rate")
        if told.get(name, msgspec.UNSET) is not msgspec.UNSET
    }
    return Fault(
        id=fault_id,
        service=SUPPLIER,
        kind="supplier",
        mode=current.mode[:64],
        parameters=parameters,
        since=current.since,
        ends_at=current.ends_at,
        by=by,
    )


def no_such_fault() -> Problem:
    """404 for one that has ended, or never was."""
    return Problem(404, "not-found", "this failure isn't switched on, or not any more")

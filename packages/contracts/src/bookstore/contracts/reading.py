"""Reads what another service has written, and passes over what it doesn't know: the other may be newer.

The shapes themselves refuse it, as they are for requests too, where a misspelt field must be an error.
Services are released by themselves, and a field more in an answer is no breaking change.
"""

from collections.abc import Callable
from functools import cache
from types import GenericAlias, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

T = TypeVar("T")


_GENERIC: Final = frozenset({list, dict, tuple})


def reader(kind: type[T]) -> Callable[[bytes], T]:
    """Decodes JSON into this shape.

    Raises:
        msgspec.DecodeError: (a ValueError) if it isn't of this shape.
    """
    return _decoder(kind).decode


@cache
def _decoder(kind: Any) -> Any:
    return msgspec.json.Decoder(_lenient(kind))


def _lenient(kind: Any) -> Any:
    """The same type, with shapes in it that pass over what they don't know."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _lenient_shape(kind)
    origin, args = cast("Any", get_origin(kind)), get_args(kind)
    if origin is Annotated:
        return Annotated[(_lenient(args[0]), *args[1:])]
    if origin in (Union, UnionType):
        return Union[tuple(map(_lenient, args))]  # noqa: UP007 - of as many as there are
    if origin in _GENERIC:
        return GenericAlias(origin, tuple(map(_lenient, args)))
    return cast("Any", kind)


@cache
def _lenient_shape(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    hints = get_type_hints(kind, include_extras=True)
    fields: list[tuple[str, Any, Any]] = [
        (each.name, _lenient(hints[each.name]), _field(each)) for each in msgspec.structs.fields(kind)
    ]
    return msgspec.defstruct(kind.__name__, fields, bases=(kind,), kw_only=True, forbid_unknown_fields=False)


def _field(known: msgspec.structs.FieldInfo) -> Any:
    """One of the same name on the wire, and with the same default."""
    default: Any = known.default
    if known.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(
            default_factory=cast("Callable[[], Any]", known.default_factory), name=known.encode_name
        )
    return msgspec.field(default=default, name=known.encode_name)

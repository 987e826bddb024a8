"""A guide as data: steps, and after each what the guide says is to be seen."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Any, Literal

import msgspec

from bookstore.lab.failures import Exit, LabError

Which = Literal["all", "any", "first", "last", "second"]


class Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One request, or the same one several times.

    Attributes:
        to: the service, or an instance.
        times: how often.
        together: all at once.
        save: fields of the last answer to remember, by the name to remember each by.
        until: ask again until the answer has this in it, for `within` seconds.
    """

    to: str
    method: str = "GET"
    path: str
    body: Any = None
    headers: dict[str, str] = {}
    times: Annotated[int, msgspec.Meta(ge=1)] = 1
    together: bool = False
    save: dict[str, str] = {}
    until: str = ""
    within: float = 30.0


class Deed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Something that is done to the system: an action of experiments."""

    action: str
    arguments: dict[str, Any] = {}


class Check(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a guide says, and how it is seen in the answers.

    Attributes:
        says: in the guide's sense, for people.
        look: at what of each answer: its status, its body as text, a field, a header, or how long it took.
        field: which field (`services.books`, `0.title`) or header.
        which: of several answers.
        equals: what it must be; variables in braces.
        one_of: or one of these.
        has: or what must be in it.
        below: or below this number.
        above: or above this number.
        distinct: or so many different ones, at least.
        exactly: or how often each value is there.
    """

    says: str
    look: Literal["status", "text", "field", "header", "seconds"] = "status"
    field: str = ""
    which: Which = "all"
    equals: Any = None
    one_of: list[Any] | None = None
    has: str | None = None
    below: float | None = None
    above: float | None = None
    distinct: int | None = None
    exactly: dict[str, int] | None = None


class Step(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One step of a guide: what is done first, what is asked, what must be seen, what is done then."""

    title: str
    first: list[Deed] = []
    ask: list[Request] = []
    then: list[Deed] = []
    see: list[Check] = []


class Guide(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One guide.

    Attributes:
        needs: services without which nothing of it can be seen.
        replicas: how many of each service it takes.
        elsewhere: what of the guide can't be seen here, and where it is.
        seconds: how long it takes, about.
    """

    number: str
    title: str
    seconds: int
    needs: list[str] = []
    replicas: dict[str, int] = {}
    elsewhere: list[str] = []
    steps: list[Step]


def library() -> dict[str, Guide]:
    """All guides by number."""
    folder = files("bookstore.lab.scenarios") / "guides"
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))
    return {name[: -len(".json")]: parse(name, (folder / name).read_bytes()) for name in found}


def parse(name: str, text: bytes) -> Guide:
    """A guide.

    Raises:
        LabError: it says something that can't be done.
    """
    try:
        return msgspec.json.decode(text, type=Guide)
    except msgspec.DecodeError as error:
        raise LabError(
            f"The definition of guide {name} is wrong: {error}.", "Correct it.", Exit.USAGE
        ) from error

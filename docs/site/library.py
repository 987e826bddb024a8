"""The reference of the libraries, made of their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

BY_SUBJECT = {
    "policies": (
        "Policies: what stands round a call",
        """
        Pipeline Retry Timeout Deadline Breaker Bulkhead Adaptive RateLimit Fallback Stale SingleFlight Hedge
        Chaos Policy
        """,
    ),
    "parts": (
        "Parts: what policies are told, and what they tell",
        """
        Quota Decision Local Budget Backoff backoff Window percentile AIMD Vegas Gradient2 Balancer Lease
        Outliers Permit Outcome Verdict Classify Event Sink Clock Registry current_attempt current_deadline
        outgoing_headers
        """,
    ),
    "errors": (
        "Errors: what a refusal is called",
        "Rejected CircuitOpen BulkheadFull RateLimited DeadlineExceeded TimedOut MisorderWarning",
    ),
}
"""All of `bookstore.resilience`, in the order in which one reads it; a test holds that nothing is missing."""
ADAPTERS = ("http", "httpx", "litestar", "redis", "otel", "prometheus", "collector", "quorum", "testing")
SERVICE = (
    *("app", "settings", "health", "problem", "database", "redis", "upstream"),
    *("body", "conditional", "tokens", "tracing"),
)
CONTRACTS = (
    *("base", "books", "orders", "queue", "accounts", "monitor"),
    *("supplier", "playground", "health", "problems"),
)
FRONT = """# Library

`bookstore.resilience` is a library of its own, for any asyncio program;
[how to begin](../members/resilience.md). Here is each of its names, made of the code:

- [Policies](policies.md): what stands round a call
- [Parts](parts.md): what policies are told, and what they tell
- [Errors](errors.md): what a refusal is called
- [Adapters](adapters.md): Redis, HTTP clients, Litestar, OpenTelemetry, Prometheus, tests

What our own services stand on, and nobody else's should:

- [bookstore.service](service.md): settings, health, problems, database, calls
- [bookstore.contracts](contracts.md): what crosses the wire
"""
_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$")
_ENTRY = re.compile(r"^(\*{0,2}\w+): (.*)$")


def pages() -> dict[str, str]:
    """The pages by their names."""
    top = import_module("bookstore.resilience")
    made = {
        f"{name}.md": _page(title, [("", [(each, getattr(top, each)) for each in names.split()])])
        for name, (title, names) in BY_SUBJECT.items()
    }
    made["adapters.md"] = _page("bookstore.resilience: adapters", _modules("bookstore.resilience", ADAPTERS))
    made["service.md"] = _page("bookstore.service", _modules("bookstore.service", SERVICE))
    made["contracts.md"] = _page("bookstore.contracts", _modules("bookstore.contracts", CONTRACTS))
    return {"index.md": FRONT, **made}


def _modules(package: str, names: Iterable[str]) -> list[tuple[str, list[tuple[str, Any]]]]:
    return [(f"{package}.{name}", _public(import_module(f"{package}.{name}"))) for name in names]


def _public(module: ModuleType) -> list[tuple[str, Any]]:
    """What a module offers: what it names in `__all__`, else what it defines."""
    named = getattr(module, "__all__", None)
    return [
        (name, value)
        for name, value in vars(module).items()
        if (name in named if named is not None else getattr(value, "__module__", None) == module.__name__)
        and not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
    ]


def _page(title: str, parts: list[tuple[str, list[tuple[str, Any]]]]) -> str:
    lines = [f"# {title}", ""]
    for module, names in parts:
        if module:
            lines += [f"## {module}", "", *_told(inspect.getdoc(import_module(module)) or ""), ""]
        for name, value in names:
            lines += _entry(name, value, "###" if module else "##")
    return "\n".join(lines)


def _entry(name: str, value: Any, level: str) -> list[str]:
    lines = [f"{level} {name}", ""]
    signature = _signature(name, value)
    if signature:
        lines += ["```python", signature, "```", ""]
    # A text that was inherited, or made by `dataclass`, says nothing of this name.
    text = value.__doc__ if inspect.isclass(value) or inspect.isfunction(value) else None
    lines += [*_told(inspect.cleandoc(text or "")), ""]
    if inspect.isclass(value):
        for member, each in vars(value).items():
            if not member.startswith("_") and _is_method(each) and (said := inspect.getdoc(each)):
                head = _signature(member, each)
                lines += [f"**`{head}`**", "", *_told(said), ""]
    return lines


def _is_method(value: Any) -> bool:
    return inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod)


def _signature(name: str, value: Any) -> str:
    if isinstance(value, property):
        return name
    if not callable(value):
        value = getattr(value, "__func__", None)
    if value is None or (inspect.isclass(value) and issubclass(value, BaseException)):
        return ""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    shown = [
        each.replace(annotation=inspect.Parameter.empty)
        for key, each in signature.parameters.items()
        if not key.startswith("_") and key not in {"self", "cls"}
    ]
    text = str(signature.replace(parameters=shown, return_annotation=inspect.Signature.empty))
    return name + re.sub(r"<factory>|<([\w.]+)[^>]*>", "...", text)


def _told(text: str) -> list[str]:
    """A docstring as Markdown: its sections as lists."""
    lines: list[str] = []
    section = False
    for line in text.splitlines():
        if found := _SECTION.match(line):
            section = True
            lines += [f"*{found[1]}*", ""]
        elif section and not line.strip():
            section = False
            lines.append("")
        elif section and (entry := _ENTRY.match(line.strip())) and line.startswith("    ") and line[4] != " ":
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif section:
            lines.append(f"  {line.strip()}")
        else:
            lines.append(line)
    return lines

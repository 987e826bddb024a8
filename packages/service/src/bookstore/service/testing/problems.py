"""What every refusal must look like, whoever refuses."""

from typing import Any
from urllib.parse import unquote

from bookstore.contracts.problems import MEDIA_TYPE, NAMESPACE

_SECRETS = ("Traceback", "psycopg", "SELECT", "INSERT", "UPDATE", "127.0.0.1")


def check_problem(answer: Any, status: int, slug: str | None = None) -> dict[str, Any]:
    """Assert that an answer of httpx is a whole problem of this status, without secrets; gives its body."""
    problem: dict[str, Any] = answer.json()
    told = {"type", "title", "status", "detail", "instance", "request_id", "trace_id"}
    wrong = {
        "status": (answer.status_code, problem["status"]) != (status, status),
        "content type": answer.headers["content-type"] != MEDIA_TYPE,
        "members": not told <= problem.keys() <= told | {"errors"},
        "type": problem["type"] != f"{NAMESPACE}{slug or problem['type'].removeprefix(NAMESPACE)}",
        "instance": unquote(problem["instance"]) != answer.request.url.path.rstrip("/"),
        "request id": problem["request_id"] != answer.headers["x-request-id"],
        "trace id": problem["trace_id"] != answer.headers["x-trace-id"],
        "secrets": any(secret in answer.text for secret in _SECRETS),
        "Retry-After": status in {429, 503} and int(answer.headers.get("retry-after", 0)) < 1,
        "WWW-Authenticate": status == 401 and not answer.headers["www-authenticate"].startswith("Bearer"),  # noqa: PLR2004
    }
    if any(wrong.values()):
        raise AssertionError(f"wrong: {[name for name in wrong if wrong[name]]}: {status} {answer.text}")
    return problem

"""What a service of ours objects to what an operator wants of it, passed on to the operator."""

from typing import Final

from bookstore.contracts.problems import NAMESPACE, ProblemDetails
from bookstore.contracts.reading import reader
from bookstore.service.problem import Problem
from bookstore.service.upstream import Answer

_LONGEST: Final = 300
_PASSED_ON: Final = frozenset({401, 403, 404, 409, 422})
_decode = reader(ProblemDetails)


def objection(answer: Answer, otherwise: Problem) -> Problem:
    """The problem that an answer holds, no longer than words are; `otherwise`, if it is no objection."""
    if answer.status not in _PASSED_ON:
        return otherwise
    try:
        said = _decode(answer.body)
    except ValueError:
        return otherwise
    headers = {"WWW-Authenticate": "Bearer"} if answer.status == 401 else {}  # noqa: PLR2004
    slug = said.type.removeprefix(NAMESPACE)[:50]
    return Problem(answer.status, slug, said.detail[:_LONGEST], headers=headers)

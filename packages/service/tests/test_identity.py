"""A record has one address."""

import pytest

from bookstore.service.identity import identity
from bookstore.service.problem import Problem


@pytest.mark.parametrize("number", [1, 7, 10, 2**31, 2**63 - 1])
def test_an_identity_is_read(number):
    assert identity("book", str(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        "0", "-1", "+1", "01", "1.0", "1e1", "1_0", " 1", "1 ", "1\n", "0x1", "abc", "", "\uff11", "\u0661",
        "NaN", "1;2", "1'--", str(2**63), "9" * 19, "9" * 20, "9" * 5000,
    ],
)  # fmt: skip
def test_anything_else_leads_nowhere(text):
    with pytest.raises(Problem) as caught:
        identity("book", text)
    assert (caught.value.status, caught.value.slug) == (404, "not-found")

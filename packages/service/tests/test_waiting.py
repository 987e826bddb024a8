from itertools import count

import pytest

from bookstore.service.testing import eventually, soon


def test_what_comes_about_is_given():
    looks = count()
    assert eventually(lambda: next(looks) == 3 and "found") == "found"


def test_what_never_comes_about_is_said():
    with pytest.raises(AssertionError, match="never"):
        eventually(lambda: None, seconds=0.02)


async def test_in_a_loop_a_check_may_have_to_be_awaited():
    looks = count()

    async def look():
        return next(looks) == 3 and "found"

    assert await soon(look) == "found"
    assert await soon(lambda: next(looks) == 6 and "found") == "found"
    with pytest.raises(AssertionError, match="never"):
        await soon(lambda: None, seconds=0.02)

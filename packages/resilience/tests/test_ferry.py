"""One trip at a time, and who is on board."""

import asyncio

import pytest

from bookstore.resilience.ferry import PLACES, Ferry


class Sea:
    """Answers each question with its double, after a second."""

    def __init__(self, clock):
        self.clock = clock
        self.trips = []
        self.tasks = set()
        self.ferry = Ferry(self.trip, self.spawn)

    async def trip(self, questions):
        self.trips.append(list(questions))
        await self.clock.sleep(1.0)
        return [2 * question for question in questions]

    def spawn(self, work):
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def ask(self, *questions):
        return [self.spawn(self.ferry.cross(question)) for question in questions]


@pytest.fixture
def sea(clock):
    return Sea(clock)


async def test_the_first_leaves_at_once_and_the_others_together(sea, clock):
    asked = sea.ask(1, 2, 3)
    await clock.advance(1)
    asked += sea.ask(4)
    await clock.advance(0)
    assert sea.trips == [[1], [2, 3]]
    await clock.advance(1)
    assert [task.done() for task in asked] == [True, True, True, False]
    await clock.advance(1)
    assert [task.result() for task in asked] == [2, 4, 6, 8]
    assert sea.trips == [[1], [2, 3], [4]]
    (later,) = sea.ask(5)
    await clock.advance(1)
    assert later.result() == 10


async def test_the_ferry_has_so_many_places(sea, clock):
    asked = sea.ask(*range(2 * PLACES + 2))
    await clock.advance(4)
    assert [len(trip) for trip in sea.trips] == [1, PLACES, PLACES, 1]
    assert [task.result() for task in asked] == [2 * n for n in range(2 * PLACES + 2)]


async def test_a_trip_that_is_cancelled_strands_nobody(sea, clock):
    first, second = sea.ask(1, 2)
    await clock.advance(1)
    third, fourth = sea.ask(3, 4)
    await clock.advance(0.5)
    (under_way,) = sea.tasks - {second, third, fourth}
    second.cancel()
    await clock.advance(0)
    under_way.cancel()
    await clock.advance(1)
    assert (first.result(), second.cancelled()) == (2, True)
    assert [third.result(), fourth.result()] == [6, 8]
    fifth, sixth = sea.ask(5, 6)
    await clock.advance(0.5)
    fifth.cancel()  # who set out alone takes the trip along; who waits has the next
    await clock.advance(2)
    assert (fifth.cancelled(), sixth.result()) == (True, 12)


async def test_an_answer_for_nobody_is_lost(sea, clock):
    first, second, third = sea.ask(1, 2, 3)
    await clock.advance(1.5)
    second.cancel()
    await clock.advance(1)
    assert (first.result(), second.cancelled(), third.result()) == (2, True, 6)


async def test_passengers_of_a_cancelled_trip_have_no_answer(sea, clock):
    first, second, third = sea.ask(1, 2, 3)
    await clock.advance(1)
    (under_way,) = sea.tasks - {second, third}
    under_way.cancel()
    await clock.advance(0)
    assert (first.result(), second.result(), third.result()) == (2, None, None)

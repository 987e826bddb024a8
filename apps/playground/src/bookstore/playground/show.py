"""`playground run`: the whole show without a server and without the internet, each claim checked."""

import sys
from asyncio import sleep
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeAlias

from bookstore.contracts.playground import Invoked
from bookstore.playground.app import way_to
from bookstore.playground.client import ResilientClient
from bookstore.playground.journal import Journal
from bookstore.playground.play import FAILING, FINE, MIXED, SLOW, Playground
from bookstore.playground.target import standing_in

Say: TypeAlias = Callable[[str], object]
Scene: TypeAlias = Callable[[Playground], Awaitable[bool]]

_AT_ONCE: Final = 2.0
_TRIES: Final = 3


async def show(say: Say = lambda line: sys.stdout.write(f"{line}\n")) -> bool:
    """Play every scene; gives whether all of them went as they were announced."""
    journal = Journal(lambda line: say(f"    {line}"))
    async with standing_in() as url, way_to(url) as upstream:
        playground = Playground(ResilientClient(url, upstream, journal), journal)
        scenes = (_mixed, _errors, _fast_while_open, _recovery, _timeouts, _by_hand)
        held = [await _played(scene, playground, say) for scene in scenes]
    say(f"{sum(held)} of {len(held)} scenes went as announced")
    return all(held)


async def _played(scene: Scene, playground: Playground, say: Say) -> bool:
    say(f"\n{scene.__doc__}")
    went = await scene(playground)
    verdict = "✓ as announced" if went else "✗ it went otherwise"
    say(f"  {verdict}; the circuit is {playground.circuit().state}")
    playground.reset()
    return went


async def _mixed(playground: Playground) -> bool:
    """A mix: one call in three is fine, one too slow, one fails. Every one gets an answer."""
    done = await playground.invoke(MIXED, 6)
    return done.successful >= 1 and done.successful + done.fallbacks == done.requested


async def _errors(playground: Playground) -> bool:
    """Errors: after three in a row the circuit opens, and the service is left alone."""
    done = await playground.invoke(FAILING, 20)
    return playground.circuit().state == "OPEN" and _calls(done) < done.requested


async def _fast_while_open(playground: Playground) -> bool:
    """While it is open, answers come at once, and from the fallback."""
    await playground.invoke(FAILING, 3)
    began = monotonic()
    done = await playground.invoke(MIXED, 3)
    return done.fallbacks == done.requested and _calls(done) == 0 and monotonic() - began < _AT_ONCE


async def _recovery(playground: Playground) -> bool:
    """After eight seconds one call is let through. It goes well, and the circuit closes."""
    await playground.invoke(FAILING, 3)
    while playground.circuit().state == "OPEN":  # noqa: ASYNC110 - that is all there is to see
        await sleep(0.1)
    return (await playground.invoke(FINE, 1)).successful == 1 and playground.circuit().state == "CLOSED"


async def _timeouts(playground: Playground) -> bool:
    """Slow answers: each try is cut off after two seconds and made again, a little later each time."""
    done = await playground.invoke(SLOW, 1)
    return done.fallbacks == 1 and done.results[0].attempts == _TRIES


async def _by_hand(playground: Playground) -> bool:
    """Opened by hand: availability of a lower kind, but one that you can rely on."""
    playground.force_open()
    done = await playground.invoke(MIXED, 3)
    return done.fallbacks == done.requested and _calls(done) == 0


def _calls(done: Invoked) -> int:
    return sum(each.attempts for each in done.results)

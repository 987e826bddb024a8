"""Switches a circuit in every process that has it, in the name of whoever asks.

All processes are asked at the same time, and each has half a second: one that is slow or frozen is told of as
such, and delays no other. Asking twice does no harm, and of two operators at once the later one is heard.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, Self

import msgspec

from bookstore.contracts.circuits import CircuitOrder, OwnCircuit
from bookstore.contracts.console import CircuitSwitch, SwitchedCircuit
from bookstore.contracts.reading import reader
from bookstore.monitor.health.targets import Target
from bookstore.monitor.sessions.doorman import Person
from bookstore.service.problem import Problem
from bookstore.service.upstream import Answer, ConnectFailed, Header, Upstream, UpstreamError

logger = logging.getLogger(__name__)

PATIENCE: Final = 0.5
"""Seconds that one process has."""
_GATEWAY: Final = "gateway"
_LONGEST: Final = 65_536
_JSON: Final[Header] = (b"content-type", b"application/json")
_OK, _MISSING = 200, 404
_REFUSALS: Final = {401: "takes no such token", 403: "this person may not", 405: "has no circuits to switch"}
_encode = msgspec.json.Encoder().encode
_decode = reader(OwnCircuit)


class CircuitDesk:
    """Switches circuits, while it is held open with `async with`.

    Args:
        targets: The processes.
        gateway_admin: The admin ports of the gateways, in their order: there alone theirs can be switched.
    """

    def __init__(self, targets: Sequence[Target], gateway_admin: Sequence[str]) -> None:
        self._targets = [target for target in targets if not target.is_store]
        self._upstreams: dict[str, Upstream] = {}
        admins = iter(gateway_admin)
        for target in self._targets:
            url = next(admins, None) if target.service == _GATEWAY else target.url
            if url:
                self._upstreams[target.instance] = Upstream(
                    url, timeout=PATIENCE, max_connections=4, max_answer=_LONGEST
                )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with AsyncExitStack() as stack:
            for upstream in self._upstreams.values():
                stack.push_async_callback(upstream.aclose)

    async def switch(self, person: Person, order: CircuitSwitch) -> list[SwitchedCircuit]:
        """Do it in one process, or in all of the service; a row for each says what came of it.

        Raises:
            Problem: 404 if there is no such process.
        """
        chosen = [
            target
            for target in self._targets
            if target.service == order.service and order.instance in (None, target.instance)
        ]
        if not chosen:
            raise Problem(404, "not-found", "no such process is watched here")
        return await asyncio.gather(*(self._switch_one(person, order, target) for target in chosen))

    async def _switch_one(self, person: Person, order: CircuitSwitch, target: Target) -> SwitchedCircuit:
        state, detail = await self._outcome(person, order, target)
        return SwitchedCircuit(
            service=target.service,
            instance=target.instance,
            dependency=order.dependency,
            state=state,
            detail=detail,
        )

    async def _outcome(self, person: Person, order: CircuitSwitch, target: Target) -> tuple[str | None, str]:
        upstream = self._upstreams.get(target.instance)
        if upstream is None:
            return None, "its admin port is not known here"
        path, body = f"/v2/circuits/{order.dependency}", _encode(CircuitOrder(action=order.action))

        async def send(headers: list[Header]) -> Answer:
            async with asyncio.timeout(PATIENCE):
                return await upstream.request("POST", path, headers=[_JSON, *headers], body=body)

        try:
            return _told(await person.ask(send))
        except ConnectFailed:
            return None, "nobody takes the connection"
        except TimeoutError:
            return None, "no answer in time; it may have done it, or may do it yet"
        except UpstreamError as error:
            logger.warning(
                "a circuit was not switched", extra={"target": target.instance, "cause": str(error)}
            )
            return None, "the connection broke; it may have done it"


def _told(answer: Answer) -> tuple[str | None, str]:
    if answer.status == _MISSING:
        return None, "has no circuit of that name"
    if answer.status == _OK:
        try:
            return _decode(answer.body).state[:50], ""
        except ValueError:
            return None, "the answer was not understood"
    return None, _REFUSALS.get(answer.status, f"answers with status {answer.status}")

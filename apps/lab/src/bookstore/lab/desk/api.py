"""The desk's HTTP API. All of it wants the secret that the monitor shows, but for the desk's own health."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING

import msgspec

from bookstore.contracts import faults, lab
from bookstore.contracts.problems import NAMESPACE
from bookstore.lab.desk import reports
from bookstore.lab.desk.catalogue import catalogue
from bookstore.lab.desk.log import asked
from bookstore.lab.desk.logs import lines_of
from bookstore.lab.desk.refused import RefusedError
from bookstore.lab.serving import Reply, Request, problem, reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from bookstore.lab.desk.faults import Faults
    from bookstore.lab.desk.runs import Runs
    from bookstore.lab.system.folder import StateFolder

SHOWN = 20


class Desk:
    """Answers requests."""

    def __init__(
        self, secret: str, state: StateFolder, runs: Runs, faults: Faults, log: Callable[[str], None]
    ) -> None:
        self._expected = f"Bearer {secret}".encode()
        self._runs = runs
        self._faults = faults
        self._reports = state.runs
        self._logs = state.logs
        self._log = log

    async def answer(self, request: Request) -> Reply:
        """What a request is told."""
        if (request.method, request.path) == ("GET", "/health"):
            return reply(200, {"status": "healthy", "services": {}})
        shown = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(shown, self._expected):
            return problem(401, f"{NAMESPACE}unauthenticated", instance=request.path)
        with asked(request.headers):
            return await self._answered(request)

    async def _answered(self, request: Request) -> Reply:
        try:
            return await self._about(request)
        except RefusedError as error:
            return problem(error.status, error.kind, error.detail, instance=request.path)
        except msgspec.DecodeError as error:
            # What is no JSON, or not of the right shape.
            return problem(422, f"{NAMESPACE}invalid", str(error), instance=request.path)
        except Exception as error:  # noqa: BLE001 - the desk has to stay: it holds faults that must end
            self._log(f"{request.method} {request.path} failed: {type(error).__name__}: {error}")
            return problem(500, instance=request.path)

    async def _about(self, request: Request) -> Reply:
        match request.path.strip("/").split("/"):
            case ["runs", *rest]:
                return self._about_runs(request, rest)
            case ["faults", *rest]:
                return await self._about_faults(request, rest)
            case what if request.method == "GET":
                return await self._shown(request, what)
            case _:
                return _nothing(request)

    async def _shown(self, request: Request, what: list[str]) -> Reply:
        match what:
            case ["catalogue"]:
                return reply(200, lab.Catalogue(data=catalogue()))
            case ["reports"]:
                return reply(200, lab.Reports(data=reports.reports(self._reports)))
            case ["reports", identity]:
                return Reply(200, reports.page(self._reports, identity), "text/html; charset=utf-8")
            case ["logs", trace_id]:
                # Reading takes a moment, and faults have to be held meanwhile.
                lines = await asyncio.to_thread(lines_of, self._logs, trace_id)
                return reply(200, lab.LogLines(data=lines))
            case _:
                return _nothing(request)

    def _about_runs(self, request: Request, rest: list[str]) -> Reply:
        match [request.method, *rest]:
            case ["GET"]:
                return reply(200, lab.Runs(data=self._runs.last(_limit(request))))
            case ["GET", identity]:
                return reply(200, self._runs.one(identity))
            case ["POST"]:
                wish = msgspec.json.decode(request.body, type=lab.NewRun)
                run = self._runs.start(wish.kind, wish.name)
                self._log(f"{wish.kind} {wish.name} is run as {run.id}")
                return reply(202, run)
            case ["DELETE", identity]:
                self._log(f"run {identity} is to be stopped")
                return reply(202, self._runs.stop(identity))
            case _:
                return _nothing(request)

    async def _about_faults(self, request: Request, rest: list[str]) -> Reply:
        match [request.method, *rest]:
            case ["GET"]:
                return reply(200, faults.ActiveFaults(data=self._faults.on))
            case ["GET", "possible"]:
                return reply(200, faults.PossibleFaults(data=self._faults.possible()))
            case ["POST"]:
                wish = msgspec.json.decode(request.body, type=faults.NewDeskFault)
                return reply(201, await self._faults.switch_on(wish))
            case ["DELETE"]:
                await self._faults.end_all()
                return reply(204)
            case ["DELETE", identity]:
                await self._faults.end(identity)
                return reply(204)
            case _:
                return _nothing(request)


def _nothing(request: Request) -> Reply:
    return problem(404, f"{NAMESPACE}not-found", "There is nothing here.", instance=request.path)


def _limit(request: Request) -> int:
    text = request.query.get("limit", str(SHOWN))
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 100:  # noqa: PLR2004
        raise RefusedError(422, "invalid", "limit must be a number from 1 to 100.")
    return int(text)

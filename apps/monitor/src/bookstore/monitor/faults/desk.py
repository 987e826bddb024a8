"""All failures together: those of the supplier, and those that the lab's desk switches on."""

import asyncio
from typing import Final

from msgspec import structs

from bookstore.contracts.faults import Fault, Faults, NewDeskFault, NewFault, PossibleFault, PossibleFaults
from bookstore.monitor.faults.model import POSSIBLE, SUPPLIER
from bookstore.monitor.faults.supplier import SupplierSwitch
from bookstore.monitor.lab.desk import GLANCE, LabDesk
from bookstore.service.problem import Problem

_NOT_ALLOWED: Final = "failures can be switched on only where FAULTS_ALLOWED says so"


class FaultDesk:
    """Tells of failures, and switches them where that is allowed."""

    def __init__(self, supplier: SupplierSwitch, lab: LabDesk, *, allowed: bool) -> None:
        self._supplier = supplier
        self._lab = lab
        self._allowed = allowed

    def known(self) -> list[Fault]:
        """What is switched on, as far as that is known."""
        return [*self._supplier.faults(), *self._lab.faults()]

    async def show(self) -> Faults:
        """What is switched on, and what could be: of those who tell."""
        possible, *_ = await asyncio.gather(
            self._possible(), self._lab.look(), self._supplier.look(), return_exceptions=True
        )
        return Faults(data=self.known(), possible=[] if isinstance(possible, BaseException) else possible)

    async def switch_on(self, wanted: NewFault, by: str, path: str) -> Fault:
        """Let something fail, for so many seconds.

        Should the monitor die from here on, it ends all the same: the supplier or the desk counts the time.

        Raises:
            Problem: 403 where that isn't allowed, 422 for what can't be, 409, 503.
        """
        self._require_allowed()
        if wanted.kind == "supplier":
            return await self._supplier.switch_on(wanted, by, path)
        told = NewDeskFault(**structs.asdict(wanted), by=by)
        fault = await self._lab.ask("POST", "/faults", Fault, told)
        await self._lab.look()
        return fault

    async def end(self, fault_id: str) -> None:
        """End one before its time.

        Raises:
            Problem: 403 where that isn't allowed, 404 if it isn't switched on, 503.
        """
        self._require_allowed()
        if fault_id.startswith(SUPPLIER):
            await self._supplier.end(fault_id)
        else:
            await self._lab.tell("DELETE", f"/faults/{fault_id}")
            await self._lab.look()

    async def end_all(self) -> None:
        """End all, at the supplier even if the desk is dead, and the other way round.

        Raises:
            Problem: 403 where that isn't allowed, 503 if one of them doesn't confirm.
        """
        self._require_allowed()
        ends = [self._supplier.end_all()]
        if self._lab.is_there:
            ends.append(self._lab.tell("DELETE", "/faults"))
        for failed in await asyncio.gather(*ends, return_exceptions=True):
            if failed is not None:
                raise failed
        await self._lab.look()

    async def _possible(self) -> list[PossibleFault]:
        if not self._allowed:
            return []
        possible = [*POSSIBLE] if self._supplier.is_there else []
        try:
            told = await self._lab.ask("GET", "/faults/possible", PossibleFaults, patience=GLANCE)
        except Problem:
            return possible
        return [*possible, *told.data]

    def _require_allowed(self) -> None:
        if not self._allowed:
            raise Problem(403, "faults-not-allowed", _NOT_ALLOWED)

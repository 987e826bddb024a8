"""Who asks, and whether they may: by their token, their key, or nothing but their address."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from bookstore.gateway.address import neighbourhood
from bookstore.gateway.config import model
from bookstore.gateway.head import Head
from bookstore.gateway.memory import Memory
from bookstore.service.problem import Problem
from bookstore.service.tokens import Access, Caller

_NO_KEYS_YET = 503
_REMEMBERED = 4096


class Asker(NamedTuple):
    """One who asks.

    Attributes:
        name: What they are counted by, and kept with one target by: `user:7`, `key:partner` or `address:::1`.
        exempt: Whether no limit holds for him: a load test that operators run.
    """

    name: str
    exempt: bool = False


class Doorman:
    """Tells who asks. A token is verified wherever it counts, also where none is needed."""

    def __init__(
        self, access: Access | None, keys: Mapping[str, model.Key], limits: Mapping[str, model.Limit]
    ) -> None:
        self._access = access
        self._by_address = frozenset(name for name, limit in limits.items() if limit.key == "address")
        self._keys = {key.sha256: (name, key) for name, key in keys.items()}
        self._askers: Memory[bytes, tuple[Caller, Asker]] = Memory(_REMEMBERED)

    async def ask(self, rule: model.Route, head: Head, *, personal: bool) -> Asker:
        """Who sent this request.

        Args:
            rule: The route that it takes.
            head: What its headers say.
            personal: Whether it matters who asks, even where everybody may.

        Raises:
            Problem: 401 for what is missing or not good, 403 for a wrong role.
        """
        if rule.auth == "key":
            return self._by_key(rule, head.keys)
        if self._access is None or not (rule.auth == "token" or (personal and head.shown)):
            return _anybody(head.address)
        try:
            caller = await self._access.caller(
                [(b"authorization", shown) for shown in head.shown], required=True
            )
        except Problem as problem:
            # Where addresses are counted a token only lifts the limit: who logs in may come with an old one.
            if rule.auth == "none" and (problem.status == _NO_KEYS_YET or rule.limit in self._by_address):
                return _anybody(head.address)
            raise
        if rule.roles:
            caller.require(*rule.roles)
        return _asker(caller)

    def ask_now(self, rule: model.Route, head: Head, *, personal: bool) -> Asker | None:
        """The same, if it is known without waiting, and they may; None leaves it to `ask`."""
        if rule.auth == "key":
            return None
        shown = head.shown
        if self._access is None or not (rule.auth == "token" or (personal and shown)):
            return _anybody(head.address)
        caller = self._access.remembered(shown[0]) if len(shown) == 1 else None
        if caller is None or (rule.roles and not caller.is_any(*rule.roles)):
            return None
        known = self._askers.get(shown[0])
        if known is None or known[0] is not caller:
            known = self._askers.keep(shown[0], (caller, _asker(caller)))
        return known[1]

    def _by_key(self, rule: model.Route, given: list[bytes]) -> Asker:
        # What is looked up is a digest: how long that takes tells nothing of the keys.
        found = self._keys.get(sha256(given[0]).hexdigest()) if len(given) == 1 else None
        if found is None:
            raise Problem(401, "unauthenticated", "this needs a key", headers={"WWW-Authenticate": "ApiKey"})
        name, key = found
        if rule.roles and not set(rule.roles) & set(key.roles):
            raise Problem(403, "forbidden", f"this needs the role {' or '.join(rule.roles)}")
        return Asker(f"key:{name}")


@lru_cache(_REMEMBERED)
def _anybody(address: str) -> Asker:
    return Asker(f"address:{neighbourhood(address)}")


def _asker(caller: Caller) -> Asker:
    return Asker(f"user:{caller.user_id}", exempt="ops" in caller.roles and "load" in caller.scopes)

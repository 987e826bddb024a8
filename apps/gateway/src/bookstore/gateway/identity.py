"""Who asks, and whether they may: by their token, their key, or nothing but their address."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple

from bookstore.gateway.address import neighbourhood
from bookstore.gateway.config import model
from bookstore.service.problem import Problem
from bookstore.service.tokens import Access, Caller
from bookstore.service.upstream import Header

_NO_KEYS_YET = 503


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

    async def ask(self, rule: model.Route, headers: Iterable[Header], address: str, *, given: bool) -> Asker:
        """Who sent this request.

        Args:
            rule: The route that it takes.
            headers: The request's, names in lower case.
            address: Where it comes from.
            given: Whether it says who sent it.

        Raises:
            Problem: 401 for what is missing or not good, 403 for a wrong role.
        """
        if rule.auth == "key":
            return self._by_key(rule, headers)
        if self._access is None or not (given or rule.auth == "token"):
            return Asker(f"address:{neighbourhood(address)}")
        try:
            caller = await self._access.caller(headers, required=True)
        except Problem as problem:
            # Where addresses are counted a token only lifts the limit: who logs in may come with an old one.
            if rule.auth == "none" and (problem.status == _NO_KEYS_YET or rule.limit in self._by_address):
                return Asker(f"address:{neighbourhood(address)}")
            raise
        if rule.roles:
            caller.require(*rule.roles)
        return _asker(caller)

    def ask_now(
        self, rule: model.Route, headers: Iterable[Header], address: str, *, given: bool
    ) -> Asker | None:
        """The same, if it is known without waiting, and they may; None leaves it to `ask`."""
        if rule.auth == "key":
            return None
        if self._access is None or not (given or rule.auth == "token"):
            return Asker(f"address:{neighbourhood(address)}")
        shown = [value for name, value in headers if name == b"authorization"]
        caller = self._access.remembered(shown[0]) if len(shown) == 1 else None
        if caller is None or (rule.roles and not caller.is_any(*rule.roles)):
            return None
        return _asker(caller)

    def _by_key(self, rule: model.Route, headers: Iterable[Header]) -> Asker:
        given = [value for name, value in headers if name == b"x-api-key"]
        # What is looked up is a digest: how long that takes tells nothing of the keys.
        found = self._keys.get(sha256(given[0]).hexdigest()) if len(given) == 1 else None
        if found is None:
            raise Problem(401, "unauthenticated", "this needs a key", headers={"WWW-Authenticate": "ApiKey"})
        name, key = found
        if rule.roles and not set(rule.roles) & set(key.roles):
            raise Problem(403, "forbidden", f"this needs the role {' or '.join(rule.roles)}")
        return Asker(f"key:{name}")


def _asker(caller: Caller) -> Asker:
    return Asker(f"user:{caller.user_id}", exempt="ops" in caller.roles and "load" in caller.scopes)

"""Accounts as the monitor meets it: people with passwords, tokens, and a refresh token that is good once."""

import asyncio
import itertools
import json

from bookstore.service.testing import Issuer
from bookstore.service.testing.peer import Peer

PASSWORD = "correct horse"
PEOPLE = {"ops": 7, "staff": 8, "customer": 9}
"""By role, which is also the name before the @."""


class Accounts(Peer):
    """Knows one person of each role. `mode` is "well", "silent", or a status with which all is answered.

    `asked` are the paths that were asked for, with bodies and headers; `life` is how long tokens are good.
    """

    def __init__(self):
        self.issuer = Issuer()
        self.mode = "well"
        self.life = 600
        self.roles = dict(PEOPLE)
        self.asked = []
        self.refresh_tokens = {}
        self.ended = []
        self._numbers = itertools.count(1)
        super().__init__()

    def bearer(self, role, **claims):
        """The header of somebody of that role."""
        return self.issuer.bearer(role, sub=str(PEOPLE[role]), **claims)

    def token(self, role, **claims):
        return self.bearer(role, **claims)["Authorization"].removeprefix("Bearer ")

    def tokens(self, role):
        """What a login answers."""
        number = next(self._numbers)
        refresh = f"refresh-{number}"
        self.refresh_tokens[refresh] = role
        claims = self.issuer.claims(roles=[role], sub=str(PEOPLE[role]), jti=str(number))
        return {
            "access_token": self.issuer.token(claims),
            "refresh_token": refresh,
            "token_type": "bearer",
            "expires_in": self.life,
        }

    async def respond(self, request, writer):
        path = request.target
        if path == "/.well-known/jwks.json":  # cached everywhere for long
            status, body = 200, self.issuer.document
        elif self.mode == "silent":
            await asyncio.Event().wait()
        elif self.mode != "well":
            status, body = self.mode, b"{}"
        else:
            self.asked.append(request)
            status, told = self._told(path, request)
            body = json.dumps(told).encode()
        head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\nRetry-After: 7\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    def _told(self, path, request):  # noqa: PLR0911 - a table
        sent = json.loads(request.body or b"{}")
        match path:
            case "/health":
                return 200, {"status": "healthy", "services": {"database": "healthy"}}
            case "/auth/login":
                role = sent["email"].partition("@")[0]
                if role in PEOPLE and sent["password"] == PASSWORD:
                    return 200, self.tokens(role)
                return 401, {}
            case "/auth/refresh":
                role = self.refresh_tokens.pop(sent["refresh_token"], None)
                return (200, self.tokens(role)) if role else (401, {})
            case "/auth/logout":
                self.ended.append(sent["refresh_token"])
                self.refresh_tokens.pop(sent["refresh_token"], None)
                return 204, {}
            case "/auth/me":
                role = "ops"
                return 200, {
                    "id": PEOPLE[role], "email": f"{role}@bookstore.local", "name": "Ops", "roles": [role],
                    "customer_id": None, "created_at": "2026-11-21T12:00:00Z",
                }  # fmt: skip
        return 404, {}

    def times(self, path):
        """How often a path was asked for."""
        return sum(request.target == path for request in self.asked)

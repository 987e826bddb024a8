"""Who asks, and whether they may: tokens of a real issuer, keys, roles."""

import asyncio
import hashlib
import json
import time

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SET = b"/.well-known/jwks.json"


class Issuer:
    """Signs tokens, and publishes its keys as the accounts service does."""

    def __init__(self):
        self.keys = {}
        self.asked = 0
        self.away = False
        self.rotate("first")

    def rotate(self, *kids):
        """Sign with the first of these from now on, and publish them all."""
        self.keys = {kid: self.keys.get(kid) or Ed25519PrivateKey.generate() for kid in kids}
        self.kid = kids[0]

    def token(self, *, kid=None, key=None, drop=(), header=None, **changed):
        now = int(time.time())
        claims = {
            "iss": "bookstore",
            "aud": "bookstore",
            "exp": now + 300,
            "iat": now,
            "sub": "7",
            "jti": "j",
            "roles": ["customer"],
            **changed,
        }
        for name in drop:
            del claims[name]
        kid = kid or self.kid
        key = key or self.keys.get(kid) or Ed25519PrivateKey.generate()
        return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid, **(header or {})})

    async def script(self, peer):
        while head := await peer.request():
            if SET not in head:
                await peer.answer(OK)
                continue
            self.asked += 1
            if self.away:
                return
            keys = [
                {**json.loads(OKPAlgorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}
                for kid, key in self.keys.items()
            ]
            body = json.dumps({"keys": keys}).encode()
            await peer.answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


SECRET = "partner-secret"
ROUTES = [
    {"id": "open", "prefix": "/open", "upstream": "books", "limit": "three"},
    {"id": "places", "prefix": "/places", "upstream": "books", "limit": "places"},
    {"id": "mine", "prefix": "/mine", "upstream": "books", "auth": "token"},
    {"id": "staff", "prefix": "/staff", "upstream": "books", "auth": "token", "roles": ["staff", "ops"]},
    {"id": "limited", "prefix": "/limited", "upstream": "books", "auth": "token", "limit": "three"},
    {"id": "partner", "prefix": "/partner", "upstream": "books", "auth": "key", "limit": "three"},
    {"id": "report", "prefix": "/report", "upstream": "books", "auth": "key", "roles": ["reports"]},
]


def file(services):
    return {
        "jwks": f"{services['accounts'].url}{SET.decode()}",
        "upstreams": {
            "books": {"targets": [{"url": services["books"].url}], "health": {"interval": 3600.0}},
        },
        "limits": {
            "three": {"quota": 3, "per": 60, "key": "caller"},
            "places": {"quota": 3, "per": 60, "key": "address"},
        },
        "keys": {"partner": {"sha256": hashlib.sha256(SECRET.encode()).hexdigest()}},
        "routes": ROUTES,
    }


def bearer(token):
    return f"Authorization: Bearer {token}"


async def test_who_may_and_who_may_not(gateway):
    issuer = Issuer()
    async with gateway(accounts=issuer.script, file=file) as front:
        customer = bearer(issuer.token())
        staff = bearer(issuer.token(sub="8", roles=["staff"]))
        cases = [
            ("/mine", [], 401, "unauthenticated"),
            ("/mine", [customer], 200, None),
            ("/mine", ["Authorization: Basic eA=="], 401, "invalid-token"),
            ("/mine", [customer, customer], 401, "invalid-token"),
            ("/mine", ["Authorization: Service " + "x" * 40], 401, "invalid-token"),
            ("/staff", [], 401, "unauthenticated"),
            ("/staff", [customer], 403, "forbidden"),
            ("/staff", [staff], 200, None),
            ("/open", [], 200, None),
            ("/open", [customer], 200, None),
            # What counts is verified, also where nobody needs it.
            ("/open", [customer + "x"], 401, "invalid-token"),
        ]
        for path, headers, status, slug in cases:
            front.books.heads.clear()
            reply = await front.ask("GET", path, *headers)
            assert (path, headers, reply.status) == (path, headers, status)
            assert len(front.books.heads) == (status == 200)
            if slug:
                assert reply.problem["type"] == f"urn:bookstore:problem:{slug}"
            if status == 401:
                assert reply.header("www-authenticate").startswith("Bearer")
        # The service verifies it again, by itself.
        await front.ask("GET", "/mine", customer)
        assert b"\r\nauthorization: Bearer ey" in front.books.heads[-1]


async def test_forged_and_spoilt_tokens(gateway):
    issuer = Issuer()
    public = issuer.keys["first"].public_key().public_bytes_raw()
    now = int(time.time())
    good = issuer.token()
    forged = {
        "none": jwt.encode(jwt.decode(good, options={"verify_signature": False}), None, algorithm="none"),
        "hs256 with the public key": jwt.encode(
            jwt.decode(good, options={"verify_signature": False}), public, "HS256", headers={"kid": "first"}
        ),
        "another's key": issuer.token(key=Ed25519PrivateKey.generate()),
        "an unknown key": issuer.token(kid="nobody"),
        "no exp": issuer.token(drop=["exp"]),
        "expired": issuer.token(exp=now - 31),
        "another's audience": issuer.token(aud="shop"),
        "another issuer": issuer.token(iss="evil"),
        "crit": issuer.token(header={"crit": ["x"], "x": 1}),
        "a key of its own": issuer.token(header={"jwk": {}}),
        "too long": "a" * 16_384,
        "cut": good[:-8],
    }
    async with gateway(accounts=issuer.script, file=file) as front:
        assert (await front.ask("GET", "/mine", bearer(good))).status == 200
        for name, token in forged.items():
            reply = await front.ask("GET", "/mine", bearer(token))
            assert (name, reply.status) == (name, 401)
            assert reply.header("www-authenticate") == 'Bearer error="invalid_token"'
            assert reply.problem["detail"] == "the token is not valid, or not any more"
        assert len(front.books.heads) == 1


async def test_keys_change_and_the_issuer_goes(gateway):
    issuer = Issuer()
    async with gateway(accounts=issuer.script, file=file) as front:
        old = issuer.token()
        assert (await front.ask("GET", "/mine", bearer(old))).status == 200
        issuer.rotate("second", "first")
        new = issuer.token()
        asked = issuer.asked
        # A key that nobody has heard of is asked for once, whoever comes with it.
        replies = await asyncio.gather(*(front.ask("GET", "/mine", bearer(new)) for _ in range(20)))
        # A busy machine may be too slow to connect twenty times at once.
        assert 200 in {reply.status for reply in replies} <= {200, 503}
        assert issuer.asked == asked + 1
        issuer.away = True
        for token in (old, new):
            assert (await front.ask("GET", "/mine", bearer(token))).status == 200


async def test_made_up_keys_make_no_work_for_the_issuer(gateway):
    issuer = Issuer()
    async with gateway(accounts=issuer.script, file=file) as front:
        good = bearer(issuer.token())
        assert (await front.ask("GET", "/mine", good)).status == 200
        asked = issuer.asked
        for start in range(0, 200, 20):
            tokens = [issuer.token(kid=f"k{start + at}") for at in range(20)]
            replies = await asyncio.gather(*(front.ask("GET", "/mine", bearer(each)) for each in tokens))
            assert {reply.status for reply in replies} == {401}
            assert (await front.ask("GET", "/mine", good)).status == 200
        assert issuer.asked <= asked + 1


async def test_before_there_are_keys(gateway):
    async def silent(peer):
        await peer.request()

    issuer = Issuer()
    async with gateway(accounts=silent, file=file) as front:
        token = bearer(issuer.token())
        assert (await front.ask("GET", "/mine", token)).status == 503
        assert (await front.ask("GET", "/open", token)).status == 200


async def test_each_caller_counts_for_himself(gateway):
    issuer = Issuer()
    async with gateway(accounts=issuer.script, file=file) as front:
        for path in ("/limited", "/open"):
            for sub in ("7", "8"):
                token = bearer(issuer.token(sub=sub))
                statuses = [(await front.ask("GET", path, token)).status for _ in range(4)]
                assert statuses == [200, 200, 200, 429]
        assert [(await front.ask("GET", "/open")).status for _ in range(4)] == [200, 200, 200, 429]
        # Another token of the same one changes nothing.
        assert (await front.ask("GET", "/open", bearer(issuer.token(jti="k")))).status == 429


async def test_only_operators_with_the_scope_for_it_have_no_limit(gateway):
    issuer = Issuer()
    async with gateway(accounts=issuer.script, file=file) as front:
        for sub, roles, scope, last in (
            ("1", ["ops"], "ops load", 200),
            ("2", ["ops"], "ops", 429),
            ("3", ["staff"], "load", 429),
            ("4", ["ops"], "loading", 429),
        ):
            token = bearer(issuer.token(sub=sub, roles=roles, scope=scope))
            replies = [await front.ask("GET", "/limited", token) for _ in range(5)]
            assert (sub, replies[-1].status) == (sub, last)


async def test_where_addresses_are_counted_a_token_lifts_the_limit_or_is_passed_over(gateway):
    issuer = Issuer()
    async with gateway(accounts=issuer.script, file=file) as front:
        customer, operator = bearer(issuer.token()), bearer(issuer.token(roles=["ops"], scope="ops load"))
        spoilt = "Authorization: Bearer old"
        asked = [operator, customer, operator, spoilt, operator, "X-Nobody: 1", customer, spoilt, operator]
        statuses = [(await front.ask("GET", "/places", each)).status for each in asked]
        assert statuses == [200, 200, 200, 200, 200, 200, 429, 429, 200]


async def test_keys_of_callers_without_tokens(gateway):
    async with gateway(file=file) as front:
        for headers in ([], ["X-API-Key: wrong"], ["X-API-Key: "], [f"X-API-Key: {SECRET}"] * 2):
            reply = await front.ask("GET", "/partner", *headers)
            assert (headers, reply.status, reply.header("www-authenticate")) == (headers, 401, "ApiKey")
        statuses = [(await front.ask("GET", "/partner", f"X-API-Key: {SECRET}")).status for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        assert not any(SECRET.encode() in head for head in front.books.heads)
        assert (await front.ask("GET", "/report", f"X-API-Key: {SECRET}")).status == 403

"""Keys: published before they sign, kept until what they signed has expired, closed by a secret."""

import asyncio
import base64
import hashlib
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization

from bookstore.accounts.keys.model import LINGER, KeyLocked, Safe, SigningKey, make, signing, state
from bookstore.accounts.keys.store import KeyStore
from bookstore.accounts.settings import AccountsSettings
from bookstore.service.database import Database
from bookstore.service.testing import Issuer, forgeries
from bookstore.service.tokens import RemoteKeys, TokenRefused, Verifier

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "a secret of at least thirty-two characters"


def key_set(client):
    answer = client.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=60"
    return answer.json()["keys"]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_the_key_set_holds_public_keys_with_their_thumbprints(shared):
    [key] = key_set(shared)
    assert key.keys() == {"kty", "crv", "x", "kid", "alg", "use"}
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    plain = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": key["x"]}, separators=(",", ":"))
    assert key["kid"] == b64(hashlib.sha256(plain.encode()).digest())


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
async def test_another_service_verifies_our_tokens_with_what_is_published(
    run_accounts, database_url, person, algorithm
):
    with run_accounts(database_url, signing_algorithm=algorithm) as client:
        ana = person(client, "ana@example.com").register().log_in()
        token = ana.tokens["access_token"]
        assert jwt.get_unverified_header(token) == {
            "alg": algorithm,
            "kid": key_set(client)[0]["kid"],
            "typ": "at+jwt",
        }
        async with RemoteKeys(str(client.base_url).rstrip("/")) as keys:
            said = await Verifier(keys).verify(token)
            assert (said.customer_id, said.roles) == (ana.customer_id, ["customer"])
            with pytest.raises(TokenRefused):
                await Verifier(keys, audience="another").verify(token)
            with pytest.raises(TokenRefused):
                await Verifier(keys, issuer="another").verify(token)
        assert ana.get("/auth/me").status_code == 200


def test_what_a_stranger_can_forge_is_refused(shared, shared_url, ana, query, check_problem):
    """And what can be forged by somebody who has even our private key, where that should be no use."""
    [(kid, private)] = query(shared_url, "SELECT kid, private FROM signing_keys")
    forged = forgeries(Issuer(serialization.load_der_private_key(private, password=None), kid))
    for token in [*forged.values(), ana.tokens["refresh_token"]]:
        for method, path in (("GET", "/auth/me"), ("GET", "/v1/customers"), ("POST", "/auth/password")):
            answer = shared.request(method, path, headers={"Authorization": f"Bearer {token}"})
            check_problem(answer, 401, "invalid-token")
    assert ana.get("/auth/me").status_code == 200


def test_a_token_ends(run_accounts, database_url, person, check_problem, eventually):
    with run_accounts(database_url, access_token_life=2) as client:
        ana = person(client, "ana@example.com").register().log_in()
        assert ana.get("/auth/me").status_code == 200
        eventually(lambda: ana.get("/auth/me").status_code == 401)
        check_problem(ana.get("/auth/me"), 401, "invalid-token")
        ana.tokens = ana.refresh().json()
        assert ana.get("/auth/me").status_code == 200


async def test_processes_that_start_together_make_one_key(database_url):
    async with AsyncExitStack() as stack:
        databases = [Database(database_url, patience=20.0, acquire=20.0) for _ in range(4)]
        stores = [KeyStore(await stack.enter_async_context(database)) for database in databases]
        for store in stores:
            await store.all()  # connected: none is late for the race
        await asyncio.gather(*(store.ensure("EdDSA", Safe("")) for store in stores))
        assert len(await stores[0].all()) == 1


def key(name, signs_from, until=None, *, minutes=timedelta(minutes=1)):
    return SigningKey(
        kid=name,
        algorithm="EdDSA",
        public={},
        private=b"",
        sealed=False,
        created_at=NOW,
        signs_from=NOW + signs_from * minutes,
        published_until=None if until is None else NOW + until * minutes,
    )


@pytest.mark.parametrize(
    ("minute", "states"),
    [
        (-1, {"old": "next", "new": "next"}),
        (0, {"old": "signing", "new": "next"}),
        (9, {"old": "signing", "new": "next"}),
        (10, {"old": "old", "new": "signing"}),
        (74, {"old": "old", "new": "signing"}),
        (75, {"old": "gone", "new": "signing"}),
    ],
)
def test_what_each_key_does_and_when(minute, states):
    keys = [key("old", 0, 75), key("new", 10)]
    now = NOW + timedelta(minutes=minute)
    assert {each.kid: state(each, keys, now) for each in keys} == states
    chosen = signing(keys, now)
    assert (chosen.kid if chosen else None) == next(
        (name for name, does in states.items() if does == "signing"), None
    )


def test_a_key_is_published_longer_than_a_token_can_live():
    longest = next(
        meta.le
        for meta in AccountsSettings.__annotations__["access_token_life"].__metadata__
        if meta.le is not None
    )
    assert timedelta(seconds=longest) < LINGER


@pytest.mark.parametrize("secret", ["", SECRET])
@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_a_safe_opens_what_it_has_closed(algorithm, secret):
    made = make(algorithm, Safe(secret), now=NOW, signs_from=NOW)
    assert made.sealed is bool(secret)
    again = Safe(secret).open(made)
    assert again.public_key() == Safe(secret).open(made).public_key()
    assert "d" not in made.public


def test_a_closed_key_opens_with_its_secret_only():
    made = make("EdDSA", Safe(SECRET), now=NOW, signs_from=NOW)
    plain = make("EdDSA", Safe(""), now=NOW, signs_from=NOW)
    assert plain.private[:16] not in made.private
    spoilt = [
        (Safe(""), made),
        (Safe(SECRET + "!"), made),
        (Safe(SECRET), msgspec.structs.replace(made, kid="another row")),
        (Safe(SECRET), msgspec.structs.replace(made, private=made.private[:-1] + b"x")),
        (Safe(SECRET), msgspec.structs.replace(made, private=plain.private)),
    ]
    for safe, closed in spoilt:
        with pytest.raises(KeyLocked) as locked:
            safe.open(closed)
        assert SECRET not in str(locked.value)


def test_without_the_secret_nobody_logs_in_but_tokens_are_still_verified(
    run_accounts, database_url, person, check_problem
):
    with run_accounts(database_url, accounts_key_secret=SECRET) as client:
        ana = person(client, "ana@example.com").register().log_in()
    with run_accounts(database_url, until=("/health", "database")) as client:
        ana.client = client
        health = client.get("/health")
        assert (health.status_code, health.json()["services"]["keys"]) == (503, "unhealthy")
        assert ana.get("/auth/me").status_code == 200
        assert len(key_set(client)) == 1
        check_problem(ana.try_login(), 503, "keys-unavailable")
        check_problem(ana.refresh(), 503, "keys-unavailable")


def test_keys_outlive_the_database(run_accounts, postgres_server, provisioned):
    with run_accounts(provisioned(postgres_server), hurried=True) as client:
        before = key_set(client)
        postgres_server.freeze()
        assert key_set(client) == before
        postgres_server.resume()
        postgres_server.kill()
        assert key_set(client) == before

"""Registering, logging in, and being known: the walk-through, and one table of bodies that are refused."""

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bookstore.contracts.accounts import Email

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PASSWORD = "correct horse battery"


def test_the_walk_through(shared, email, claims_of):
    body = {"email": email, "password": PASSWORD, "name": " Ana  B "}
    registered = shared.post("/auth/register", json=body)
    assert registered.status_code == 201
    me = registered.json()
    assert me.keys() == {"id", "email", "name", "roles", "customer_id", "created_at"}
    assert (me["email"], me["name"], me["roles"]) == (email, "Ana B", ["customer"])
    assert registered.headers["location"] == f"/v1/customers/{me['customer_id']}"

    answer = shared.post("/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    assert tokens.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 600)

    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert shared.get("/auth/me", headers=bearer).json() == me
    assert shared.get(registered.headers["location"], headers=bearer).json()["email"] == email

    said = claims_of(tokens["access_token"])
    assert said["exp"] - said["iat"] == 600
    assert {name: said[name] for name in ("iss", "aud", "sub", "scope", "roles", "customer_id")} == {
        "iss": "bookstore",
        "aud": "bookstore",
        "sub": str(me["id"]),
        "scope": "customer",
        "roles": ["customer"],
        "customer_id": me["customer_id"],
    }
    assert said["jti"]


@pytest.mark.parametrize(
    "form",
    [
        {"username": "{email}", "password": PASSWORD},
        {
            "grant_type": "password",
            "username": " {EMAIL} ",
            "password": PASSWORD,
            "scope": "",
            "client_id": "",
        },
    ],
)
def test_a_form_logs_in_as_well(ana, form):
    form = {
        name: value.replace("{email}", ana.email).replace("{EMAIL}", ana.email.upper())
        for name, value in form.items()
    }
    answer = ana.client.post("/auth/login", content=urlencode(form), headers={**FORM, **ana.headers})
    assert answer.status_code == 200, answer.text
    assert answer.json()["access_token"]


@pytest.mark.parametrize(
    "spellings",
    [
        ("Case.{n}@Example.COM", "case.{n}@example.com"),
        ("full{n}@example.com", "\uff46\uff55\uff4c\uff4c{n}@example.com"),
        ("idn{n}@bücher.example", "idn{n}@xn--bcher-kva.EXAMPLE"),
        ("é{n}@example.com", "e\u0301{n}@example.com"),
        ("blank{n}@example.com", "\u3000blank{n}@example.com\n"),
    ],
)
def test_two_spellings_of_an_address_are_one(shared, email, origin, check_problem, spellings):
    number = email.removeprefix("reader").partition("@")[0]
    registered, typed = (text.replace("{n}", number) for text in spellings)
    body = {"password": PASSWORD, "name": "A"}
    assert shared.post("/auth/register", json={"email": registered, **body}).status_code == 201
    check_problem(shared.post("/auth/register", json={"email": typed, **body}), 409, "email-taken")
    login = shared.post("/auth/login", json={"email": typed, "password": PASSWORD}, headers=origin)
    assert login.status_code == 200


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ana@example.com", "ana@example.com"),
        ("a+b.c_d@x.example", "a+b.c_d@x.example"),
        ("ops@bookstore.local", "ops@bookstore.local"),
        ("ÉMILE@example.com", "émile@example.com"),
        ("a@MÜNCHEN.de", "a@xn--mnchen-3ya.de"),
        ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
    ],
)
def test_an_address_has_one_form(text, kept):
    assert Email(text) == kept
    assert Email(Email(text)) == kept


@given(st.text(max_size=80), st.text(max_size=40))
@example("\u0391\u03a3", "x.example")
@example("\u212a", "ß.example")
@example("\ufb03", "x.\u2460om")
def test_whatever_is_taken_is_taken_once_and_holds_nothing_strange(local, domain):
    try:
        email = Email(f"{local}@{domain}")
    except ValueError:
        return
    assert Email(email) == email
    name, _, zone = email.rpartition("@")
    assert zone.isascii()
    assert "." in zone
    assert not set(name) & set(' @()<>[]:;,\\"\r\n\0')
    assert len(email) <= 254


NO_ADDRESS = [
    "", " ", "ana", "ana@", "@example.com", "ana@example", "a@@example.com", "a@b@example.com",
    "a b@example.com", '"a b"@example.com', ".a@example.com", "a.@example.com", "a..b@example.com",
    "a@.com", "a@example..com", "a@example.com.", "a@-a.com", "a@a-.com", "a@a_b.com", "a@[10.0.0.1]",
    "a@10.0.0.1", "a@ex ample.com", "a\r\nBcc: b@example.com", "a\u200b@example.com", "a\u202e@example.com",
    "a<b>@example.com", "Ana <ana@example.com>", "mailto:ana@example.com", "a@" + "x" * 64 + ".com",
    "x" * 65 + "@example.com", "é" * 33 + "@example.com", "a@" + "abcdefg." * 40 + "com", "a" * 100_000,
    "a@" + "\u0660" * 300 + ".com",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_ADDRESS, ids=lambda text: ascii(text[:30]))
def test_what_is_no_address_is_refused(shared, check_problem, text):
    with pytest.raises(ValueError):
        Email(text)
    body = {"email": text, "password": PASSWORD, "name": "A"}
    problem = check_problem(shared.post("/auth/register", json=body), 400, "validation")
    assert problem["errors"][0]["field"] == "email"


GOOD = {
    "/auth/register": {"email": "b@example.com", "password": PASSWORD, "name": "B"},
    "/auth/login": {"email": "b@example.com", "password": PASSWORD},
    "/auth/refresh": {"refresh_token": "x"},
    "/auth/logout": {"refresh_token": "x"},
    "/auth/password": {"current_password": "x", "new_password": PASSWORD},
}


def changed(value, place=0):
    """The good body with another value in one field."""
    return lambda good: json.dumps({**good, list(good)[place]: value}).encode()


BAD = {
    "nothing": b"",
    "cut short": lambda good: json.dumps(good).encode()[:-1],
    "array": b"[]",
    "null": b"null",
    "no fields": b"{}",
    "one field missing": lambda good: json.dumps(dict(list(good.items())[1:])).encode(),
    "unknown field": lambda good: json.dumps({**good, "role": "ops"}).encode(),
    "duplicate": lambda good: json.dumps(good).encode()[:-1] + f', "{next(iter(good))}": "x"}}'.encode(),
    "null field": changed(None),
    "number": changed(1),
    "array in a field": changed(["x"]),
    "object in a field": changed({"$ne": ""}),
    "NUL": changed("passwor\0d", -1),
    "too long": changed("x" * 2000),
    "no UTF-8": b'{"email": "\xff"}',
    "lone surrogate": lambda good: f'{{"{next(iter(good))}": "\\ud800"}}'.encode(),
    "deep": b"[" * 100 + b"]" * 100,
}


@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_a_body_that_cannot_be_used_is_refused(ana, check_problem, path, body):
    content = body(GOOD[path]) if callable(body) else body
    answer = ana.client.post(path, content=content, headers={**JSON, **ana.bearer})
    problem = check_problem(answer, 400, "validation")
    assert PASSWORD not in answer.text
    assert problem["instance"] == path


@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "", "text/xml"])
def test_another_content_type_is_415(ana, check_problem, path, content_type):
    headers = {"Content-Type": content_type, **ana.bearer}
    check_problem(ana.client.post(path, content=json.dumps(GOOD[path]), headers=headers), 415)


@pytest.mark.parametrize("path", GOOD)
def test_a_compressed_body_is_415(ana, check_problem, path):
    headers = {"Content-Encoding": "gzip", **ana.bearer}
    for kind in (JSON, FORM) if path == "/auth/login" else (JSON,):
        answer = ana.client.post(path, content=json.dumps(GOOD[path]), headers=headers | kind)
        check_problem(answer, 415)
        assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("path", GOOD)
def test_a_body_over_the_limit_is_413(ana, check_problem, path):
    body = json.dumps({**GOOD[path], "x": "x" * 1_100_000})
    check_problem(ana.client.post(path, content=body, headers={**JSON, **ana.bearer}), 413)


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"username=a",
        b"password=b",
        b"username=a&username=b&password=c",
        b"username=a&password=b&password=c",
        b"username=a&password=b&role=ops",
        b"username=a%00&password=b",
        b"username=a&password=b%00",
        b"username=%ff&password=b",
        b"username=a;password=b",
        b"username",
        b"username=a&password=b&grant_type=client_credentials",
        b"username=" + b"a" * 2000 + b"&password=b",
        b"&".join(b"a%d=1" % number for number in range(50)),
        "username=é&password=b".encode(),
        b'{"email": "a", "password": "b"}',
    ],
    ids=lambda form: form[:40].decode("latin-1"),
)
def test_a_form_that_cannot_be_used_is_refused(shared, check_problem, form):
    check_problem(shared.post("/auth/login", content=form, headers=FORM), 400, "validation")


@pytest.mark.parametrize("path", [path for path in GOOD if path != "/auth/login"])
def test_only_a_login_may_be_a_form(ana, check_problem, path):
    body = urlencode(GOOD[path])
    check_problem(ana.client.post(path, content=body, headers={**FORM, **ana.bearer}), 415)


PASSWORDS = [
    ("1234567", 400),
    ("12345678", 201),
    ("        ", 201),
    ("a" * 128, 201),
    ("a" * 129, 400),
    ("ü" * 128, 201),
    ("\U0001f680" * 128, 201),
    ("\U0001f680" * 7, 400),
    ("'; DROP TABLE users; --", 201),
    ("{{7*7}} %s ${x}", 201),
    ("tab\tand\nline", 201),
]


@pytest.mark.parametrize("case", PASSWORDS, ids=lambda case: f"{len(case[0])}-{ascii(case[0])[:20]}")
def test_a_password_is_8_to_128_characters_of_any_kind(person, shared, email, origin, case):
    password, status = case
    body = {"email": email, "password": password, "name": "A"}
    answer = shared.post("/auth/register", json=body)
    assert answer.status_code == status
    if status == 201:
        user = person(shared, email, password, **origin).log_in()
        # None of it is cut off, and none of it is folded.
        for other in (password[:-1], password + "x", password.swapcase() + " "):
            assert user.try_login(other).status_code == 401
        body = urlencode({"username": email, "password": password})
        assert shared.post("/auth/login", content=body, headers={**FORM, **origin}).status_code == 200


def test_a_password_is_the_same_however_a_keyboard_composes_it(person, shared, email, origin):
    user = person(shared, email, "pässwörd\u00a0long", **origin).register()
    assert user.try_login("pa\u0308sswo\u0308rd long").status_code == 200


def test_a_taken_address_is_409_for_all_who_come_together(shared, email, check_problem):
    body = {"email": email, "password": PASSWORD, "name": "A"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: shared.post("/auth/register", json=body), range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    for answer in answers:
        if answer.status_code == 409:
            check_problem(answer, 409, "email-taken")


def test_who_has_a_customers_record_already_is_409_too(shared, staff, email, check_problem):
    record = {"email": email, "name": "A"}
    assert shared.post("/v1/customers", json=record, headers=staff.bearer).status_code == 201
    check_problem(shared.post("/auth/register", json={**record, "password": PASSWORD}), 409, "email-taken")


@pytest.mark.parametrize("path", ["/auth/me", "/auth/password"])
def test_who_has_no_token_is_401_even_where_none_is_needed(shared, check_problem, path):
    answer = shared.get(path) if path == "/auth/me" else shared.post(path, json=GOOD[path])
    check_problem(answer, 401, "unauthenticated")


def test_who_was_deleted_is_nobody(ana, check_problem):
    assert ana.client.delete(f"/v1/customers/{ana.customer_id}", headers=ana.bearer).status_code == 204
    check_problem(ana.get("/auth/me"), 401, "invalid-token")
    check_problem(ana.try_login(), 401, "invalid-credentials")
    check_problem(ana.refresh(), 401, "invalid-refresh-token")
    old = ana.customer_id
    assert ana.register().customer_id != old

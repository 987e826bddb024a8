"""Who may do what: one list, tried where a token is required and where none is."""

from contextlib import ExitStack

import pytest

from bookstore.service.testing import Issuer

GOOD = {"title": "Emma", "author": "Jane Austen", "price": "9.49"}
ANYONE = {"nobody", "customer", "staff", "ops", "service", "forger"}
WORKERS = {"staff", "ops"}

ROUTES = [
    ("GET", "/{version}/books", None, 200, ANYONE),
    ("GET", "/{version}/books/{id}", None, 200, ANYONE),
    ("POST", "/{version}/books", GOOD, 201, WORKERS),
    ("PUT", "/{version}/books/{id}", {"price": "1.00"}, 200, WORKERS),
    ("DELETE", "/{version}/books/{id}", None, 200, WORKERS),
]
SECRET = "s3rv1ce-" * 4


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture(scope="module")
def services(issuer, books_template, run_books):
    """The service, by whether it requires a token; both over one catalogue."""
    with books_template.fresh() as url, issuer.publishing() as accounts:
        told = {"accounts_service_url": accounts, "service_secret": SECRET}
        with (
            run_books(url, auth_required=True, **told) as strict,
            run_books(url, auth_required=False, **told) as open_,
        ):
            yield {True: strict, False: open_}


@pytest.fixture(scope="module")
def headers(issuer):
    return {
        "nobody": {"X-User-Id": "1", "X-User-Roles": "ops"},
        "customer": issuer.bearer("customer"),
        "staff": issuer.bearer("staff"),
        "ops": issuer.bearer("ops"),
        "service": {"Authorization": f"Service {SECRET}"},
        "forger": {"Authorization": f"Bearer {issuer.token(alg='none')}"},
    }


def expected(who, allowed, good, *, required):
    if who in allowed or (who == "nobody" and not required):
        return good
    return 401 if who in {"nobody", "forger"} else 403


@pytest.mark.parametrize("required", [True, False], ids=["required", "not required"])
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("who", sorted(ANYONE))
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: " ".join(route[:2]))
def test_who_may_do_what(services, headers, check_problem, route, who, version, required):  # noqa: PLR0917
    method, path, body, good, allowed = route
    book = services[False].post("/v2/books", json=GOOD).json()
    path = path.format(version=version, id=book["id"])
    answer = services[required].request(method, path, json=body, headers=headers[who])
    status = expected(who, allowed, good, required=required)
    if status == good:
        assert answer.status_code == good, answer.text
        return
    check_problem(answer, status, {403: "forbidden"}.get(status))
    assert answer.headers.get("www-authenticate", "Bearer").startswith("Bearer")
    assert services[True].get(f"/v2/books/{book['id']}").json()["updated_at"] == book["updated_at"]


def test_who_may_not_is_told_before_the_body_is_read(services, headers, check_problem):
    for who, status in (("nobody", 401), ("customer", 403)):
        answer = services[True].post("/v1/books", content=b"{", headers=headers[who])
        check_problem(answer, status)


def test_a_service_without_keys_is_ready_and_its_catalogue_open(
    database_url, run_books, issuer, check_problem
):
    """Accounts is away from the start: reading goes on, a token can't be judged yet, and is needed."""
    with run_books(database_url, auth_required=True, accounts_service_url="http://127.0.0.1:1") as client:
        while client.get("/health/ready").status_code != 200:
            pass
        assert client.get("/health").json() == {"status": "healthy", "services": {"database": "healthy"}}
        assert client.get("/v1/books").status_code == 200
        check_problem(client.post("/v1/books", json=GOOD), 401, "unauthenticated")
        check_problem(
            client.post("/v1/books", json=GOOD, headers=issuer.bearer("ops")), 503, "keys-unavailable"
        )


def test_keys_that_were_fetched_outlive_their_issuer(database_url, run_books, issuer):
    with ExitStack() as accounts:
        url = accounts.enter_context(issuer.publishing())
        with run_books(database_url, auth_required=True, accounts_service_url=url) as client:
            assert client.post("/v1/books", json=GOOD, headers=issuer.bearer("staff")).status_code == 201
            accounts.close()
            assert client.post("/v1/books", json=GOOD, headers=issuer.bearer("ops")).status_code == 201

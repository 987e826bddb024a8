"""Customers' records: who may do what, as one table; and what a record takes."""

import pytest

WHO = ["nobody", "ana", "other", "staff", "ops"]

# What is done to ana's record (or to all), and what each gets for it. Nobody is the operator here.
RULES = [
    ("POST", "/v1/customers", (201, 403, 403, 201, 201)),
    ("GET", "/v1/customers", (200, 403, 403, 200, 200)),
    ("GET", "/v1/customers/{id}", (200, 200, 404, 200, 200)),
    ("PUT", "/v1/customers/{id}", (200, 200, 404, 200, 200)),
    ("DELETE", "/v1/customers/{id}", (204, 204, 404, 204, 204)),
    ("GET", "/v1/customers/999999", (404, 404, 404, 404, 404)),
    ("PUT", "/v1/customers/999999", (404, 404, 404, 404, 404)),
    ("DELETE", "/v1/customers/999999", (404, 404, 404, 404, 404)),
]
CASES = [
    pytest.param((method, path, who, status), id=f"{who}-{method}-{path}")
    for method, path, statuses in RULES
    for who, status in zip(WHO, statuses, strict=True)
]


@pytest.fixture
def others(ana, person, staff, ops):
    other = person(ana.client, f"other.{ana.email}", **ana.headers).register().log_in()
    return {"nobody": {}, "ana": ana.bearer, "other": other.bearer, "staff": staff.bearer, "ops": ops.bearer}


def ask(client, method, path, email, headers):
    body = {"POST": {"name": "New", "email": f"new.{email}"}, "PUT": {"name": "Changed"}}.get(method)
    return client.request(method, path, json=body, headers=headers)


@pytest.mark.parametrize("case", CASES)
def test_who_may_do_what(ana, others, case):
    method, path, who, status = case
    answer = ask(ana.client, method, path.format(id=ana.customer_id), ana.email, others[who])
    assert answer.status_code == status, answer.text


@pytest.fixture(scope="module")
def strict(run_accounts, shared_url):
    """The same database, where a token is required."""
    with run_accounts(shared_url, auth_required=True) as client:
        yield client


@pytest.mark.parametrize("case", CASES)
def test_who_may_do_what_where_a_token_is_required(ana, others, strict, check_problem, case):
    method, path, who, status = case
    answer = ask(strict, method, path.format(id=ana.customer_id), ana.email, others[who])
    if who == "nobody":
        check_problem(answer, 401, "unauthenticated")
    else:
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize(("method", "path"), [rule[:2] for rule in RULES])
@pytest.mark.parametrize("authorization", ["Bearer x", "Basic b3BzOm9wcw==", "Bearer", ""])
def test_a_bad_token_is_worse_than_none(ana, check_problem, method, path, authorization):
    headers = {"Authorization": authorization, "X-User-Id": "1", "X-User-Role": "ops"}
    answer = ask(ana.client, method, path.format(id=ana.customer_id), ana.email, headers)
    check_problem(answer, 401, "invalid-token")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_who_may_not_is_told_before_the_body_is_read(strict, check_problem, method):
    path = "/v1/customers" if method == "POST" else "/v1/customers/1"
    check_problem(strict.request(method, path, content=b"{"), 401, "unauthenticated")


def test_the_life_of_a_record(own):
    made = own.post("/v1/customers", json={"name": "  Ana \n B ", "email": " Ana@Example.com"})
    assert made.status_code == 201
    record = made.json()
    assert record.keys() == {"id", "name", "email", "created_at", "updated_at"}
    assert (record["name"], record["email"]) == ("Ana B", "ana@example.com")
    path = made.headers["location"]
    assert path == f"/v1/customers/{record['id']}"
    assert own.get(path).json() == own.get(f"{path}/").json() == record
    changed = own.put(path, json={"name": "Ana C", "email": None}).json()
    assert (changed["name"], changed["email"]) == ("Ana C", record["email"])
    assert changed["updated_at"] > record["updated_at"]
    gone = own.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    for method in ("GET", "PUT", "DELETE"):
        assert own.request(method, path, json={"name": "x"}).status_code == 404
    again = own.post("/v1/customers", json={"name": "Ana", "email": "ana@example.com"})
    assert again.status_code == 201
    assert again.json()["id"] != record["id"]


def test_the_list_is_bare_and_the_newest_first(own):
    made = [
        own.post("/v1/customers", json={"name": "A", "email": f"a{n}@x.example"}).json() for n in range(5)
    ]
    ids = [customer["id"] for customer in reversed(made)]
    assert [customer["id"] for customer in own.get("/v1/customers").json()] == ids
    page = own.get("/v1/customers", params={"limit": 2, "offset": 1}).json()
    assert [customer["id"] for customer in page] == ids[1:3]
    assert own.get("/v1/customers", params={"offset": 5}).json() == []
    own.delete(f"/v1/customers/{ids[0]}")
    assert [customer["id"] for customer in own.get("/v1/customers").json()] == ids[1:]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=1e1",
        "limit=",
        "offset=-1",
        "offset=2147483648",
        "limit=1&limit=2",
    ],
)
def test_a_page_that_cannot_be_is_400(shared, check_problem, query):
    check_problem(shared.get(f"/v1/customers?{query}"), 400, "validation")


@pytest.mark.parametrize(
    "number", ["0", "-1", "x", "1.0", "+1", "01", "%31%20", "9223372036854775808", "1;2", "None"]
)
def test_what_is_no_identity_is_404(shared, check_problem, number):
    for method in ("GET", "PUT", "DELETE"):
        check_problem(shared.request(method, f"/v1/customers/{number}", json={"name": "x"}), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"name": "A"}, "body"),
        ({"email": "a@x.example"}, "body"),
        ({"name": "", "email": "a@x.example"}, "name"),
        ({"name": " \u200b", "email": "a@x.example"}, "name"),
        ({"name": "A" * 501, "email": "a@x.example"}, "name"),
        ({"name": 1, "email": "a@x.example"}, "name"),
        ({"name": "A", "email": "a"}, "email"),
        ({"name": "A", "email": None}, "email"),
        ({"name": "A", "email": "a@x.example", "id": 1}, "body"),
        ({"name": "A", "email": "a@x.example", "role": "ops"}, "body"),
    ],
)
def test_a_record_that_cannot_be_is_400(shared, check_problem, body, field):
    problem = check_problem(shared.post("/v1/customers", json=body), 400, "validation")
    assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize("body", [{}, {"name": None}, {"email": None, "name": None}])
def test_a_change_of_nothing_is_400(ana, check_problem, body):
    answer = ana.client.put(f"/v1/customers/{ana.customer_id}", json=body, headers=ana.bearer)
    check_problem(answer, 400, "validation")


def test_two_customers_cannot_have_one_address(own, check_problem):
    first, second = (
        own.post("/v1/customers", json={"name": "A", "email": f"{name}@x.example"}).json()["id"]
        for name in "ab"
    )
    check_problem(own.post("/v1/customers", json={"name": "B", "email": "A@X.example"}), 409, "email-taken")
    check_problem(own.put(f"/v1/customers/{second}", json={"email": "a@x.example"}), 409, "email-taken")
    assert own.put(f"/v1/customers/{first}", json={"email": "A@x.example"}).status_code == 200


def test_a_new_address_is_the_one_to_log_in_with(ana, person, check_problem):
    new = f"new.{ana.email}"
    answer = ana.client.put(
        f"/v1/customers/{ana.customer_id}", json={"email": new, "name": "Ana New"}, headers=ana.bearer
    )
    assert answer.json()["email"] == new
    me = ana.get("/auth/me").json()
    assert (me["email"], me["name"]) == (new, "Ana New")
    check_problem(ana.try_login(), 401, "invalid-credentials")
    person(ana.client, new, **ana.headers).log_in()
    assert ana.refresh().status_code == 200
    person(ana.client, ana.email).register()


def test_a_login_keeps_its_address_from_customers_too(ana, staff, person, check_problem):
    other = person(ana.client, f"other.{ana.email}").register()
    path = f"/v1/customers/{other.customer_id}"
    check_problem(ana.client.put(path, json={"email": ana.email}, headers=staff.bearer), 409, "email-taken")
    # The address of somebody who works here has no customer's record, but it is a login all the same.
    check_problem(ana.client.put(path, json={"email": staff.email}, headers=staff.bearer), 409, "email-taken")

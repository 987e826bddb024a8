"""Every refusal of every app is a whole problem: its path, and the ids that the headers say."""

import pytest

from bookstore.lab.system.topology import INSTRUMENTS, SYSTEM
from bookstore.service.testing import check_problem

PORTS = sorted(
    port.name
    for service in SYSTEM.services
    if service.kind == "app" and service.name not in INSTRUMENTS
    for port in (service, *service.doors)
)
"""All that has a port of its own, by the names of `bookstore status`."""

EVERYWHERE = {
    "no such path": ("GET", "/no/such/path", {404}),
    "no such path, percent-encoded": ("GET", "/no%20such/path", {404}),
    "not that method": ("DELETE", "/whoami", {404, 405}),
    "no method at all": ("BREW", "/whoami", {404, 405, 501}),
}
JSON = {"Content-Type": "application/json"}
NONSENSE = {"limit": "x", "count": "x", "seconds": "x"}


@pytest.fixture(scope="module", params=PORTS)
def url(request, bookstore):
    return next(row["url"] for row in bookstore.status()["services"] if row["name"] == request.param)


@pytest.mark.parametrize("what", EVERYWHERE)
def test_what_no_app_has(url, client, what):
    method, path, expected = EVERYWHERE[what]
    trace = "0af7651916cd43dd8448eb211c80319c"
    ids = {"X-Request-ID": "mine", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    for headers, told in (({}, None), (ids, ("mine", trace))):
        answer = client.request(method, url + path, headers=headers)
        assert answer.status_code in expected
        problem = check_problem(answer, answer.status_code)
        assert told in (None, (problem["request_id"], problem["trace_id"]))


def test_what_its_own_routes_refuse(url, client):
    refused = bodies = 0
    for path, methods in client.get(f"{url}/openapi.json").json()["paths"].items():
        asked = url + path.replace("{", "0").replace("}", "")
        for method, told in methods.items():
            if method == "get":
                request = client.build_request("GET", asked, params=NONSENSE)
            elif "application/json" in told.get("requestBody", {}).get("content", {}):
                request = client.build_request(method.upper(), asked, headers=JSON, content=b"no JSON")
                bodies += 1
            else:
                continue  # it might do something
            answer = client.send(request, stream=True)  # some answers have no end
            if answer.is_error and not path.startswith("/health"):
                answer.read()
                check_problem(answer, answer.status_code)
                refused += 1
            answer.close()
    assert refused >= bodies

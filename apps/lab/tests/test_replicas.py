"""Several processes of a service, and who is told of them."""

import pytest

from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.plan import make_plan
from bookstore.lab.system.ports import Claims
from bookstore.lab.system.topology import SYSTEM


def test_the_gateway_gets_all_of_them_and_services_the_first(tmp_path):
    folder = StateFolder(tmp_path / "state")
    folder.open()
    topology = SYSTEM.with_replicas({"books": 2, "gateway": 3})
    plan = make_plan(topology, folder, Claims(), caller={})
    parts = {part.row.instance: part for part in plan.parts}
    books = [parts[name].row.url for name in ("books-1", "books-2")]
    gateways = [parts[f"gateway-{number}"].app.environment for number in (1, 2, 3)]
    for gateway in gateways:
        assert gateway["BOOKS_SERVICE_URL"] == ",".join(books)
        assert gateway["GATEWAY_REPLICAS"] == "3"
        assert gateway["REDIS_URL"] == parts["redis"].row.url
    assert parts["orders-1"].app.environment["BOOKS_SERVICE_URL"] == books[0]
    ports = [gateway[name] for gateway in gateways for name in ("PORT", "ADMIN_PORT")]
    assert len(set(ports)) == 6
    assert [row.name for row in parts["gateway-2"].rows] == ["gateway", "gateway-admin"]


@pytest.mark.parametrize("wish", ["boks=2", "books", "books=0", "books=17", "books=x", "postgres=2"])
def test_a_wish_that_makes_no_sense(system, wish):
    result = system.run("up", "--replicas", wish)
    assert result.returncode == 2
    assert wish in result.stderr

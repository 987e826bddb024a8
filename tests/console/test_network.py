"""The page and a system with proxies between its parts: the network itself is made bad, and is well again."""

import re

import pytest

from .conftest import PATIENCE

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

LATE = re.compile(r"orders to books: .* p95 (\d{3} ms|[1-9]\.\d\d s)")
ORDER = {"items": [{"book_id": 1, "quantity": 1}]}


def test_the_network_is_made_late_cut_and_well_again(private_bookstore, enter, client, expect):
    private_bookstore.up("--proxied")
    page = enter(private_bookstore, "faults?service=orders")
    orders = f"{private_bookstore.url('orders-1')}/v2/orders"
    assert client.post(orders, json=ORDER).status_code == 201
    group = page.get_by_role("region", name="Break something")
    late = group.locator(".fault", has=page.get_by_role("heading", name="latency", exact=True))
    late.locator("select").select_option("books")
    late.get_by_role("spinbutton", name="latency").fill("400")
    late.get_by_role("spinbutton", name="for").fill("300")
    late.get_by_role("button", name="Switch on").click()
    page.get_by_role("dialog").get_by_role("button", name="orders: latency").click()
    card = page.locator(".cards .card", has_text="orders: latency")
    expect(card).to_contain_text("to books")
    answer = client.post(orders, json=ORDER)
    assert answer.status_code == 201
    page.locator("nav a", has_text="Map").click()
    expect(page.locator('[data-way="orders>books"] title')).to_have_text(LATE, timeout=PATIENCE)
    page.go_back()
    page.get_by_role("button", name="End it now: orders: latency").click()
    cut = group.locator(".fault", has=page.get_by_role("heading", name="cut", exact=True))
    cut.locator("select").select_option("books")
    cut.get_by_role("spinbutton", name="for").fill("5")
    cut.get_by_role("button", name="Switch on").click()
    page.get_by_role("dialog").get_by_role("button", name="orders: cut").click()
    expect(page.locator(".cards .card", has_text="orders: cut")).to_be_visible()
    assert client.post(orders, json=ORDER).status_code == 503
    expect(page.get_by_role("region", name="Switched on now")).to_contain_text("Nothing fails on purpose.")
    assert page.evaluate("window.mine") == "not loaded again"

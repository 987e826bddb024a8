"""An operator's hand on the worker's circuits: what can't be asked waits, and goes on after a reset."""

from bookstore.service.testing.problems import check_problem


def test_forced_open_orders_wait_and_the_supplier_is_left_alone(
    run_worker, book, outside, accounts, eventually
):
    with run_worker(accounts_service_url=accounts.url) as worker:

        def switch(action, **headers):
            return worker.http.post("/v2/circuits/supplier", json={"action": action}, headers=headers)

        check_problem(switch("force_open"), 401)
        check_problem(switch("force_open", **accounts.bearer("staff")), 403)
        assert switch("force_open", **accounts.bearer("ops")).json()["state"] == "forced_open"
        assert worker.metric("bookstore_breaker_state", dependency="supplier", state="forced_open") == 1
        [order] = book.place()
        eventually(lambda: worker.http.get("/health").json()["services"]["supplier"] == "unhealthy")
        assert not outside.calls
        switch("reset", **accounts.bearer("ops"))
        eventually(lambda: book.states(order) == ["Validated"])

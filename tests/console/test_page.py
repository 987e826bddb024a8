"""The page by itself: every room, by keyboard, on a phone, with old news, with no news, with hostile news."""

import json
import re
from pathlib import Path

import pytest

from .conftest import PAGES, PATIENCE
from .puppet import NOBODY, TRACE, circuit, edge, instance, job, node, now, run, span, step, summary, switched

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

AXE = Path(__file__).parents[2] / "apps/monitor/tests/page/node_modules/axe-core/axe.min.js"
MARKUP = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>\'"&amp;\u202e'


def at(puppet, page, query=""):
    return f"{puppet.url}#/{page}{query}"


def break_supplier(puppet):
    picture = puppet.picture
    picture["instances"][5] = instance("supplier", "DOWN", "nobody takes the connection")
    picture["topology"]["services"][5]["status"] = "DOWN"
    picture["topology"]["edges"][4] |= {"circuit": "open", "success_share": 0.0}
    picture["policies"]["circuits"][4]["state"] = "open"
    picture["topology"]["queue"] = {"unfinished": 53, "oldest_age_seconds": 71.0, "parked": 37, "dead": 2}
    picture["topology"]["faults"] = [
        {"id": "f1", "service": "supplier", "kind": "supplier", "mode": "down", "parameters": {}}
        | {"since": now(-20), "ends_at": now(40), "by": "ops@bookstore.local"}
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_for_everybody(name, scheme, puppet, visit, expect):
    """As axe-core sees it, with trouble on the page: contrast, names, roles, order."""
    if not AXE.exists():
        pytest.skip("axe-core isn't here; `.ci/run console` installs it")
    break_supplier(puppet)
    page = visit(at(puppet, name, f"/{TRACE}" if name == "requests" else ""), color_scheme=scheme)
    expect(page.locator(".headline")).to_contain_text("Supplier refuses connections")
    expect(page.locator("main > *").nth(1)).to_be_visible()
    expect(page).to_have_title(re.compile(f"{name}.*Bookstore console", re.IGNORECASE))
    if name == "requests":
        expect(page.locator(".span-row")).to_have_count(4)
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [
        (each["id"], [where["html"][:200] for where in each["nodes"]][:3])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_cut_off_on_a_phone(name, puppet, visit, expect):
    break_supplier(puppet)
    puppet.picture["run"] = run(step("A worker is killed with SIGKILL"))
    page = visit(at(puppet, name, f"/{TRACE}" if name == "requests" else ""), width=360, height=740)
    expect(page.locator(".headline")).to_contain_text("Supplier")
    page.wait_for_function("document.querySelector('main').children.length > 1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.locator(".top [aria-current]")).to_be_in_viewport(ratio=0.9)


def test_what_fails_and_why_stands_first(puppet, visit, expect):
    page = visit(puppet.url)
    expect(page.locator(".headline")).to_have_text("Everything is well.")
    break_supplier(puppet)
    expect(page.locator(".headline")).to_have_text(
        re.compile(r"^Supplier refuses connections since \d\d:\d\d, because the fault “down” is switched on")
    )
    facts = page.locator(".facts")
    expect(facts).to_contain_text("circuit of orders-worker to supplier is open")
    expect(facts).to_contain_text("53 orders wait, 37 of them parked")
    expect(page.locator('[data-way="orders-worker>supplier"]')).to_have_class(re.compile("kind-held"))
    expect(page.locator(".circuit-chip text")).to_have_text("open")
    expect(page.locator("#said")).to_contain_text("supplier refuses connections")


def test_everything_by_keyboard(puppet, visit, expect):
    page = visit(puppet.url)
    expect(page.locator(".map")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator('[data-name="gateway"]')).to_be_focused()
    for key, name in (("ArrowRight", "books"), ("ArrowDown", "orders"), ("ArrowRight", "orders-worker")):
        page.keyboard.press(key)
        expect(page.locator(f'[data-name="{name}"]')).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="orders-worker")).to_be_visible()
    page.locator("nav a", has_text="Queue").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Put away job 1").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Leave it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Put away job 1")).to_be_focused()
    assert puppet.asked == []


def test_what_one_types_stays_while_news_come(puppet, visit, expect):
    page = visit(at(puppet, "faults"))
    field = page.locator(".fault", has_text="slow").get_by_label("delay")
    field.fill("7")
    rate = page.locator(".figure .value").first
    for more in range(3):
        puppet.picture["topology"]["services"][0]["requests_per_second"] = 100.0 + more
        expect(rate).to_have_text(f"{100 + more}/s")
    expect(field).to_be_focused()
    expect(field).to_have_value("7")
    page.get_by_role("button", name="Switch on for 60 s: supplier: slow").click()
    expect(page.locator(".note")).to_contain_text("switched on for 1 min")
    [(method, path, body)] = puppet.asked
    assert (method, path) == ("POST", "faults")
    assert body == {"service": "supplier", "kind": "supplier", "mode": "slow", "seconds": 60} | {
        "parameters": {"delay": 7}
    }


def test_what_destroys_asks_first(puppet, visit, expect):
    page = visit(at(puppet, "queue"))
    page.get_by_role("button", name="Put away all 2").click()
    page.get_by_role("button", name="Leave it").click()
    expect(page.locator("dialog")).to_have_count(0)
    assert puppet.asked == []
    page.get_by_role("button", name="Put away all 2").click()
    page.get_by_role("button", name="Put away 2 dead letters").click()
    expect(page.locator(".note")).to_contain_text("1 job put away")
    page.goto(at(puppet, "circuits"))
    page.get_by_role("button", name="Force open: orders-1 to books").click()
    page.get_by_role("button", name="Force it open").click()
    page.goto(at(puppet, "faults"))
    page.get_by_role("link", name="books", exact=True).click()
    page.get_by_role("button", name="Switch on for 60 s: books: kill").click()
    page.get_by_role("button", name="books: kill for 1 min").click()
    page.wait_for_function("document.querySelectorAll('.note').length > 1")
    assert [(method, path) for method, path, _ in puppet.asked] == [
        ("POST", "queue/purge"),
        ("POST", "circuits"),
        ("POST", "faults"),
    ]
    assert puppet.asked[0][2] == {"job_id": None}
    assert puppet.asked[1][2]["action"] == "force_open"


def test_dead_letters_have_a_history_and_another_chance(puppet, visit, expect):
    page = visit(at(puppet, "queue"))
    page.get_by_role("button", name="1 (validate)").click()
    expect(page.locator("dialog")).to_contain_text("new → Processing")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Redrive job 2").click()
    expect(page.locator(".note")).to_contain_text("1 job will be tried again")
    assert puppet.asked == [("POST", "queue/redrive", {"job_id": 2})]


def test_a_request_leads_to_its_trace(puppet, visit, expect):
    page = visit(at(puppet, "try"))
    page.get_by_role("button", name="Buy a book").click()
    expect(page.locator(".answer")).to_contain_text("POST /v2/orders")
    page.get_by_role("link", name="its trace").click()
    expect(page.locator(".trace h2")).to_have_text("POST /v2/orders")
    page.get_by_role("button", name="step 2").click()
    expect(page.locator(".span-inside")).to_contain_text("orders · internal")
    page.get_by_role("button", name=re.compile("Fold 2 calls")).click()
    expect(page.locator(".span-block")).to_have_count(1)


def test_old_news_say_that_they_are_old(puppet, visit, expect):
    page = visit(puppet.url)
    expect(page.locator(".live")).to_have_text("live")
    puppet.silent.set()
    expect(page.locator(".live")).to_contain_text("stale")
    expect(page.locator(".headline")).to_contain_text("No news for")
    puppet.silent.clear()
    expect(page.locator(".live")).to_have_text("live")
    expect(page.locator(".headline")).to_have_text("Everything is well.")


def test_who_gets_no_place_is_told_so_and_gets_one_when_there_is_one(puppet, visit, expect):
    puppet.refuses = 503
    page = visit(puppet.url)
    expect(page.locator(".live")).to_contain_text("50 read the events already")
    puppet.refuses = None
    expect(page.locator(".live")).to_have_text("live")


def test_it_reads_nothing_while_nobody_looks(puppet, visit, expect):
    page = visit(puppet.url)
    expect(page.locator(".live")).to_have_text("live")
    hide = """hidden => {
        Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(hide, True)
    expect(page.locator(".live")).to_contain_text("paused while hidden")
    for _ in range(200):
        if puppet.streams == 0:
            break
        page.wait_for_timeout(100)
    assert puppet.streams == 0
    page.evaluate(hide, False)
    expect(page.locator(".live")).to_have_text("live")


def test_who_has_to_sign_in_is_asked_to(puppet, visit, expect):
    puppet.answers["session"] = NOBODY | {"may_read": False}
    puppet.refuses = 401
    page = visit(puppet.url)
    expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
    puppet.answers["session"] = (401, {"detail": "no"})
    page.get_by_label("E-mail").fill("ops@bookstore.local")
    page.get_by_label("Password").fill("a wrong one")
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("belong together")
    expect(page.get_by_label("Password")).to_have_value("a wrong one")
    puppet.answers["session"] = NOBODY | {"signed_in": True, "who": "ops@bookstore.local", "may_switch": True}
    puppet.refuses = None
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    expect(page.locator(".live")).to_have_text("live")
    assert puppet.asked[-1][2] == {"email": "ops@bookstore.local", "password": "a wrong one"}


def test_a_ticket_signs_in_and_leaves_the_address(puppet, visit, expect):
    page = visit(f"{puppet.url}#ticket=one-time-ticket_42")
    expect(page.locator(".note")).to_contain_text("Signed in as ops@bookstore.local")
    assert page.url == f"{puppet.url}#/map"
    assert puppet.asked == [("POST", "session", {"ticket": "one-time-ticket_42"})]
    assert "ticket" not in page.evaluate("JSON.stringify(history.state) + location.href")


def test_who_may_not_switch_has_no_switches(puppet, visit, expect):
    puppet.answers["session"] = NOBODY | {"faults_allowed": False}
    page = visit(at(puppet, "faults"))
    expect(page.locator("main")).to_contain_text("FAULTS_ALLOWED is off")
    for button in page.locator(".fault button").all():
        expect(button).to_be_disabled()
    page.goto(at(puppet, "circuits"))
    expect(page.get_by_role("button", name="Force open").first).to_be_disabled()


def test_who_switched_what_is_told_to_those_who_may(puppet, visit, expect):
    puppet.answers["audit"]["data"] += [
        switched(action="circuit", target="orders-1/books", parameters={"action": "force_open"}),
        switched(action="redrive", target="queue", parameters={"job_id": None}, outcome="orders-unavailable"),
    ]
    page = visit(at(puppet, "faults"))
    rows = page.get_by_role("region", name="Who switched what").locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("switched on “slow” of supplier for 1 min")
    expect(rows.nth(1)).to_contain_text("forced open the circuit of orders-1 to books")
    expect(rows.nth(2)).to_contain_text("redrove all dead letters")
    expect(rows.nth(2).locator(".badge")).to_have_text("orders unavailable")


def test_nothing_moves_for_who_wants_calm(puppet, visit, expect):
    page = visit(puppet.url, reduced_motion="reduce")
    expect(page.locator(".map")).to_be_visible()
    moving = """[...document.querySelectorAll('*')].map(each => getComputedStyle(each)).filter(
        style => style.animationName !== 'none'
            || style.transitionDuration.split(', ').some(each => each !== '0s')
    ).length"""
    assert page.evaluate(moving) == 0


def hostile(puppet):
    """Markup in every text, names that mean something to JavaScript, impossible numbers."""
    picture = puppet.picture
    for name in (MARKUP, "__proto__", "constructor", "x" * 5000):
        picture["topology"]["services"].append(node(name, "service") | {"status": "DOWN"})
        picture["topology"]["edges"].append(edge("orders>books") | {"source": name, "target": "supplier"})
        picture["topology"]["edges"].append(edge("orders>books") | {"target": name, "circuit": MARKUP})
        picture["instances"].append(instance(name, "DOWN", MARKUP, name=name))
        picture["policies"]["circuits"].append(circuit("orders>books") | {"dependency": name, "state": name})
    picture["topology"]["services"][1] |= {"requests_per_second": 1e300, "p95_ms": -1, "status": MARKUP}
    picture["topology"]["promises"][0] |= {"says": MARKUP, "budget_left": -1e9}
    picture["topology"]["faults"] = [
        {"id": MARKUP, "service": "books", "kind": "supplier", "mode": MARKUP, "parameters": {MARKUP: MARKUP}}
        | {"since": "yesterday", "ends_at": "never", "by": MARKUP}
    ]
    words = {"name": MARKUP, "state": MARKUP, "phase": MARKUP, "started_at": "x", "report": "../../evil"}
    picture["run"] = run(
        step(MARKUP, at="x", expected=MARKUP, seen=MARKUP, verdict=MARKUP), id=MARKUP, **words
    )
    long = {"name": MARKUP, "offset_ms": -5, "attributes": {MARKUP: "x" * 10_000_000}}
    spans = [
        span(1, name=MARKUP, service=MARKUP, attributes={MARKUP: MARKUP, "__proto__": "x"}, links=[MARKUP]),
        span(2, 3, name="circle"),
        span(3, 2, name="circle", offset_ms=-1e9, duration_ms=-5.0),
        span(3, 2, name="twin", duration_ms=1e308),
        span(4, 77, name="orphan", kind=MARKUP, error=True, events=[long]),
    ]  # fmt: skip
    puppet.answers |= {
        "traces": {"data": [summary(MARKUP), summary("fine", MARKUP)], "kept": 2, "bytes": 1},
        f"traces/{TRACE}": {"summary": summary(MARKUP), "spans": spans},
        f"traces/{TRACE}/logs": {
            "data": [
                {"at": now(), "service": "orders", "instance": MARKUP, "level": MARKUP, "more": {}}
                | {"message": MARKUP + "y" * 10_000_000}
            ]
        },
        "try": {
            "answers": [
                {"method": MARKUP, "path": "javascript:alert(1)", "status": 200, "ms": 1, "trace_id": MARKUP}
                | {"request_id": MARKUP, "body": MARKUP}
            ],
            "summary": {"requests": 2, "by_status": {MARKUP: 1}, "p50_ms": 1, "p95_ms": 1},
        },
    }
    words = {"who": MARKUP, "target": MARKUP, "outcome": MARKUP, "parameters": {MARKUP: MARKUP}}
    actions = (MARKUP, "__proto__", "constructor", "fault", "circuit", "redrive")
    puppet.answers["audit"] = {"data": [switched(action=action, **words) for action in actions]}
    puppet.answers["queue"]["dead"]["data"] = [job(1, MARKUP + "z" * 100_000)]
    puppet.answers["session"] |= {"who": MARKUP, "jaeger_url": "javascript:alert(1)"}
    puppet.events += [
        b"event: change\ndata: " + json.dumps(
            {"id": MARKUP, "service": MARKUP, "instance": MARKUP, "before": "x", "after": MARKUP}
            | {"at": MARKUP, "detail": MARKUP}
        ).encode() + b"\n\n",
        b"event: picture\ndata: {not json\n\n",
        b"event: traces\ndata: []\n\n",
        b"event: strange\ndata: 1\n\n: comment\n\ndata\n\n",
    ]  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_hostile_news_run_nothing_and_break_nothing(name, puppet, visit, expect):
    hostile(puppet)
    page = visit(at(puppet, name, f"/{TRACE}" if name == "requests" else ""))
    page.on("dialog", lambda dialog: pytest.fail(f"somebody asks: {dialog.message}"))
    expect(page.locator(".live")).to_have_text("live")
    if name == "requests":
        expect(page.locator(".waterfall")).to_contain_text("orphan")
        for each in page.locator(".span-open").all():
            each.click()
    if name == "try":
        page.get_by_role("button", name="Browse").click()
        expect(page.locator(".answer")).to_be_visible()
    # It still hears what comes.
    puppet.picture["topology"]["orders_per_second"] = 4321.0
    expect(page.locator(".figures")).to_contain_text("4,321")
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.querySelectorAll('#app img, #app script, #app iframe').length") == 0
    links = page.evaluate("[...document.querySelectorAll('a')].map(a => a.href)")
    origin = puppet.url.removesuffix("/console/")
    assert [link for link in links if link and not link.startswith(origin)] == []


def test_a_circuit_that_opens_is_seen_within_two_seconds(puppet, visit, expect):
    """From the moment at which the monitor knows; the story of the whole system has its share."""
    page = visit(puppet.url)
    expect(page.locator(".live")).to_have_text("live")
    puppet.picture["topology"]["edges"][3]["circuit"] = "open"
    page.locator(".circuit-chip", has_text="open").wait_for(timeout=2000)
    puppet.picture["topology"]["edges"][3]["circuit"] = "closed"
    expect(page.locator(".circuit-chip")).to_have_count(0, timeout=PATIENCE)

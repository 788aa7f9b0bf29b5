"""The page in a real browser, over a real daemon and ledger: what is seen, and what leaves."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.browser import Browser, started
from tests.dashboard.business import EVIL, build, revenue_csv
from tests.dashboard.desk import NOBURN, Desk, Served, reserve_frame

VIEWS = (
    "overview", "runs", "customers", "features", "models", "margin", "budgets", "holds", "blocks",
    "customer/acme",
)  # fmt: skip
PROBES = (Path(__file__).parent / "probes.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with Desk() as made:
        build(made.ledger, days=40, calls=400)
        revenue_csv(made.home / "revenue.csv")
        assert made.here("import", "revenue", str(made.home / "revenue.csv"))[0] == 0
        assert made.noburn("daemon", "start").returncode == 0
        yield made


@pytest.fixture(scope="module")
def served(desk: Desk) -> Served:
    return desk.dashboard("--allow-changes")


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Browser]:
    """The browser with the page open, which has complained of nothing when the test is over."""
    browser.size(1200, 900)
    browser.scheme("light")
    browser.open(served.address)
    browser.until("document.querySelector('#spend') && location.search === ''")
    yield browser
    assert browser.complaints() == []


def amounts(page: Browser, selector: str) -> list[str]:
    """The exact amounts of what a selector finds."""
    found = "[...document.querySelectorAll(arguments[0])].map((n) => n.value)"
    return list(page.js(found, selector))


def test_figures_on_the_page_are_those_of_the_report(page: Browser, desk: Desk) -> None:
    """Goal: what is seen equals `noburn report --json` to the nano-dollar, line by line."""
    since = page.js("new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth(), 1))"
                    ".toISOString().slice(0, 10)")  # fmt: skip
    said = desk.said("report", "--by", "customer", "--since", since)
    assert amounts(page, "#spend") == [said["total"]["cost_usd"]]
    page.see("customers")
    assert amounts(page, "tbody td[data-label=Cost] data") == [
        row["cost_usd"] for row in said["rows"]
    ]
    assert amounts(page, "tfoot td[data-label=Cost] data") == [said["total"]["cost_usd"]]
    shown = page.js("[...document.querySelectorAll('tbody th')].map((n) => n.textContent)")
    assert shown == [row["key"]["customer"].replace("\u202e", "\\u202e") for row in said["rows"]]


def test_margin_on_the_page_is_that_of_pnl(page: Browser, desk: Desk) -> None:
    """Goal: revenue and margin to the nano-dollar, the worst first, and who is under water."""
    page.see("margin")
    page.until("document.querySelector('#margin data')")
    said = desk.said("pnl", "--outlook")
    assert amounts(page, "#margin data") == [said["total"]["margin_usd"]]
    assert amounts(page, "#revenue") == [said["total"]["revenue_usd"]]
    customers = "table tbody tr td[data-label='Margin'] data"
    assert amounts(page, customers) == [row["margin_usd"] for row in said["rows"]]
    (acme,) = (one for one in said["outlook"] if one["customer"] == "acme")
    assert acme["verdict"] == "under water"
    page.see("overview")
    page.until("document.querySelector('.attention')?.textContent.includes('Customer acme costs')")


def test_a_name_stays_a_name(page: Browser) -> None:
    """Goal: markup, scripts and turned directions in a customer's name are only its letters."""
    for view in ("overview", "customers", "budgets", "blocks", "margin"):
        page.see(view)
        page.until("document.querySelectorAll('main table').length > 0")
        assert page.js("document.querySelectorAll('main img, main b').length") == 0, view
        assert "owned" not in page.js("document.title")
    page.see("customers")
    page.click("tbody tr:nth-child(6) a") if EVIL in page.text("tbody") else None
    page.driver.execute_script(
        "location.hash = `#/customer/${encodeURIComponent(arguments[0])}`", EVIL
    )
    page.until("document.querySelector('h1').textContent.startsWith('<img src=x onerror')")
    page.until("document.querySelector('.js-plotly-plot .bars')")


def test_every_view_fits_reads_and_stays_here(
    page: Browser, served: Served, tmp_path: Path
) -> None:
    """Goal: phone and desk, light and dark: no sideways scrolling, contrast AA, landmarks and
    headers, charts drawn, and not one request to anywhere else.
    """
    page.until("document.querySelector('.js-plotly-plot .bars')")
    page.driver.execute_script(PROBES)
    for width, scheme in ((360, "light"), (1200, "dark")):
        page.size(width, 800)
        page.scheme(scheme)
        for view in VIEWS:
            page.see(view)
            page.until("document.querySelector('main h1')")
            assert page.js("document.documentElement.scrollWidth") <= width, (view, width)
            assert page.js("probes.contrast()") == [], (view, scheme)
            assert page.js("probes.assisted()") == [], view
            if width == 360:
                assert page.js("probes.wide()") == [], view
    page.shot(tmp_path / "overview.png")
    assert (tmp_path / "overview.png").stat().st_size > 10_000
    asked = [one for one in page.requests() if not one.startswith("data:")]
    assert asked
    assert {one for one in asked if not one.startswith(served.base + "/")} == set()


def test_it_is_worked_by_keyboard(page: Browser) -> None:
    """Goal: sorted, gone through and left without a mouse, with the focus where it was."""
    page.see("customers")
    page.until("document.querySelector('td[data-label=Margin]')")
    heads = "[...document.querySelectorAll('th button')]"
    page.driver.execute_script(f"{heads}.find((n) => n.textContent === 'Calls').focus()")
    from selenium.webdriver.common.keys import Keys

    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.until("document.querySelector('th[aria-sort=descending]')?.textContent === 'Calls'")
    assert page.js("document.activeElement.textContent") == "Calls"
    calls = page.js(
        "[...document.querySelectorAll('tbody td[data-label=Calls]')].map((n) => +n.textContent)"
    )
    assert calls == sorted(calls, reverse=True)
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.until("document.querySelector('th[aria-sort=ascending]')")
    page.driver.execute_script("document.querySelector('#find').focus()")
    page.driver.switch_to.active_element.send_keys("GLOBEX")
    page.until("document.querySelectorAll('tbody tr').length === 1")


def test_calls_appear_while_they_are_made(page: Browser, desk: Desk) -> None:
    """Goal: a hold, its owner, and then its cost, without a reload; and a daemon that goes away."""
    page.driver.execute_script("window.loadedOnce = true")
    before = amounts(page, "#spend")
    attributes = {"customer": "acme", "feature": "live", "project": "app"}
    with desk.client() as client:
        assert client.reserve(reserve_frame("live-1", attributes))["ok"]
        page.see("holds")
        page.until("document.querySelector('tbody th')?.textContent === 'live-1'")
        assert "process" in page.text("tbody")
        assert amounts(page, "#held") == ["0.0001717"]
        page.until("/^[0-9]+ s$/.test(document.querySelector('tbody time').textContent)")
        assert client.settle("live-1", {"input": 300, "output": 50})["ok"]
        page.until("document.querySelector('main h2').textContent === 'Nothing is in flight'")
        page.see("overview")
        page.until("document.querySelector('#spend').value !== arguments[0]", before[0])
        assert client.reserve(reserve_frame("live-2", attributes))["ok"]
        page.see("holds")
        page.until("document.querySelector('tbody th')?.textContent === 'live-2'")
        assert desk.noburn("daemon", "stop").returncode == 0
        page.until("document.querySelector('#daemon').textContent === 'no daemon'")
        page.until(
            "document.querySelector('main').textContent.includes('what is held is not known')"
        )
        page.see("budgets")
        page.until("document.querySelector('tbody').textContent.includes('unknown')")
        assert desk.noburn("daemon", "start").returncode == 0
        page.until("document.querySelector('#daemon').textContent === 'live'")
        client.void("live-2", reason="the test is over")
    assert page.js("window.loadedOnce")


@pytest.fixture
def running(desk: Desk) -> Iterator[subprocess.Popen[bytes]]:
    """A run that does nothing for long."""
    process = subprocess.Popen(
        [*NOBURN, "run", "--budget", "5", "--customer", "hooli", "--", "sleep", "600"],
        env=desk.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.terminate()
    process.wait()


def test_changes_are_asked_about_and_done(
    page: Browser, desk: Desk, served: Served, running: subprocess.Popen[bytes]
) -> None:
    """Goal: a run is stopped and a budget topped up from the page, and by nobody else."""
    page.see("budgets")
    page.until("document.querySelector('[data-key=\"topup-customer=* per month-customer=acme\"]')")
    page.click("[data-key='topup-customer=* per month-customer=acme']")
    page.driver.execute_script("document.querySelector('#ask-amount').value = '2Mtok'")
    page.click("#ask-yes")
    page.until("document.querySelector('.error').textContent.includes('is one of dollars')")
    (refused,) = page.complaints()  # as the console tells any answer that is an error
    assert "changes/topup" in refused
    page.driver.execute_script("document.querySelector('#ask-amount').value = '7.50'")
    page.click("#ask-yes")
    page.until("document.querySelector('#said').textContent.includes('customer=acme has $7.50')")
    accounts: list[dict[str, Any]] = desk.said("budget", "show", "customer=acme")["budgets"]
    assert accounts[0]["accounts"][0]["topup"] == "7.5"
    page.see("runs")
    page.until("document.querySelector('.run')")
    (run,) = page.js("[...document.querySelectorAll('.run h3')].map((n) => n.textContent)")
    page.click(f"[data-key='stop-{run}']")
    page.click("#ask-no")
    assert running.poll() is None
    page.click(f"[data-key='stop-{run}']")
    page.until("document.querySelector('dialog').open")
    page.click("#ask-yes")
    assert running.wait(60) == 3
    page.until("document.querySelector('main').textContent.includes('No run is open')")
    # A page elsewhere has the cookie at most: neither its origin nor the secret of ours.
    own = {"Cookie": served.cookie(), "Content-Type": "application/json"}
    secret = served.data("/api/v1/about")["csrf"]
    fields = {"run": run, "confirm": run}
    for more in ({}, {"Origin": served.base}, {"X-Noburn-CSRF": secret},
                 {"Origin": "http://127.0.0.1:9", "X-Noburn-CSRF": secret}):  # fmt: skip
        assert served.ask("/api/v1/changes/stop", {**own, **more}, fields)[0] == 403
    allowed = {**own, "Origin": served.base, "X-Noburn-CSRF": secret}
    assert served.ask("/api/v1/changes/stop", allowed, {"run": run, "confirm": "x"})[0] == 400
    assert served.ask("/api/v1/changes/stop", allowed, fields)[0] == 409
    assert served.ask("/api/v1/changes/stop", allowed, ["run"])[0] == 400


def test_without_plotly_the_tables_say_the_same(browser: Browser, tmp_path: Path) -> None:
    """Goal: the extra is asked for by name, and nothing else is missing."""
    (tmp_path / "plotly").mkdir()
    (tmp_path / "plotly" / "__init__.py").touch()  # found before the real one, and without charts
    with Desk() as plain:
        build(plain.ledger, days=3, calls=40)
        plain.environment["PYTHONPATH"] = str(tmp_path)
        board = plain.dashboard()
        browser.open(board.address)
        browser.until("document.querySelectorAll('main table').length >= 4")
        assert "noburn-cli[charts]" in browser.text("main > .callout")
        assert amounts(browser, "#spend") != ["0"]
        assert browser.js("document.querySelectorAll('.js-plotly-plot').length") == 0
        assert browser.complaints() == []
        browser.open("about:blank")  # before its server ends
        assert "brings them" in board.end()[2]


def test_an_empty_home_says_how_to_begin(browser: Browser) -> None:
    """Goal: the first day has a next step instead of a row of zeros and errors."""
    with Desk() as empty:
        browser.size(360, 800)
        browser.open(empty.dashboard().address)
        browser.until("document.querySelector('#spend') && location.search === ''")
        browser.until("document.querySelector('.empty.big')?.checkVisibility()")
        browser.driver.execute_script(PROBES)
        assert "noburn run --budget 5" in browser.text(".empty.big")
        for view in VIEWS:
            browser.see(view)
            assert browser.js("probes.wide()") == [], view
            assert browser.js("document.documentElement.scrollWidth") <= 360, view
        assert browser.complaints() == []
        browser.open("about:blank")

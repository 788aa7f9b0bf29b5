"""The report of a simulation in a real browser: drawn, silent, and as wide as a phone."""

from __future__ import annotations

import pytest

from noburn_cli.core.plans import Included, Plan
from noburn_cli.core.simulation_assumptions import Assumption
from noburn_cli.core.simulation_findings import find
from noburn_cli.core.simulation_scenario import Scenario, Segment
from noburn_cli.core.simulation_usage import LogNormal
from noburn_cli.render.simulation_page import simulation_page
from tests.dashboard.browser import started

NANO = 10**9
#: A plan's name is whatever a file says.
NASTY = "<img src=//evil.example/x>\x1b[2J"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of two plans, with everything that can be in one."""
    flat = Segment(Plan(29 * NANO, name=NASTY), 0.3, tokens=1e6, token_nano=1e4, churn=0.03)
    free = Segment(
        Plan(0, name="free", included=Included(tokens=50_000)), 0.7, tokens=5e4, token_nano=1e4
    )
    scenario = Scenario(
        (flat, free), LogNormal(2.0), months=6, draws=20, growth=0.05, fixed_nano=1000.0 * NANO
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    said = [Assumption(f"{NASTY}: plan", "$29.00 " * 30, "said", NASTY)]
    path.write_text(simulation_page(find(scenario), said), "utf-8")
    return path


def test_every_plot_is_drawn_and_nothing_asked_for(report, tmp_path):
    """Goal: what a founder opens on a phone, dark or light, is whole and tells nobody."""
    with started(tmp_path) as browser:
        for width, scheme in ((390, "dark"), (1200, "light")):
            browser.size(width, 900)
            browser.scheme(scheme)
            browser.open(report.as_uri())
            browser.until("document.querySelectorAll('.chart .main-svg').length >= 6")
            assert browser.js("document.querySelectorAll('.chart').length") == 6
            assert browser.js("document.documentElement.scrollWidth <= window.innerWidth")
            # What leads is in sight without a finger: no first figure lies beyond the edge.
            assert browser.js(
                "[...document.querySelectorAll('dd strong')]"
                ".every((n) => n.getBoundingClientRect().right <= window.innerWidth)"
            )
            shade = browser.js("getComputedStyle(document.body).backgroundColor")
            assert (shade == "rgb(255, 255, 255)") is (scheme == "light")
            assert browser.js("document.querySelectorAll('img, link, iframe').length") == 0
        asked = {one for one in browser.requests() if not one.startswith(("about:", "data:"))}
        assert asked == {report.as_uri()}
        assert browser.complaints() == []

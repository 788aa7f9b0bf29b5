"""A real browser for the tests: Debian's chromium, driven by its own chromedriver.

Not a test.  scripts/setup-system installs both; without them a test fails, and says so.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

#: As root in a container: no sandbox, no GPU; and nothing that the browser asks for by itself.
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-default-apps", "--disable-extensions", "--no-proxy-server",
    "--force-device-scale-factor=1", "--hide-scrollbars",
)  # fmt: skip
#: Begins with an empty page: the new tab's own would be some 250 requests.
BLANK = {"session.restore_on_startup": 4, "session.startup_urls": ["about:blank"]}
_WAIT_S = 80
_MISSING = "chromium and chromedriver are needed: run scripts/setup-system"


class Browser:
    """One browser with one page, and what it said of itself."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self._entries: list[dict[str, Any]] = []

    def open(self, address: str) -> None:
        self.driver.get(address)

    def size(self, width: int, height: int) -> None:
        """The page's own size, as a phone has it."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def scheme(self, value: str) -> None:
        """`dark` or `light`."""
        features = [{"name": "prefers-color-scheme", "value": value}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def js(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def text(self, selector: str) -> str:
        """The text of the first element that a selector finds; empty without one."""
        return str(self.js("document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def until(self, script: str, *arguments: object) -> Any:
        """Wait until a script says something true, and return that."""
        what: Callable[[Any], Any] = lambda _: self.js(script, *arguments)  # noqa: E731
        return WebDriverWait(self.driver, _WAIT_S, poll_frequency=0.05).until(what, script)

    def see(self, view: str) -> None:
        """Go to a view, and wait until it shows its figures."""
        self.driver.execute_script("location.hash = arguments[0]", f"#/{view}")
        shown = "document.querySelector('main').dataset.view === arguments[0]"
        self.until(f"{shown} && document.querySelector('main').ariaBusy === 'false'",
                   view.partition("/")[0])  # fmt: skip

    def click(self, selector: str) -> None:
        self.driver.execute_script("document.querySelector(arguments[0]).click()", selector)

    def shot(self, path: Path, *, whole: bool = True) -> None:
        """A picture of the whole page."""
        import base64

        asked = {"captureBeyondViewport": whole}
        if whole:
            size = self.js("[document.body.scrollWidth, document.body.scrollHeight]")
            asked["clip"] = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", asked)
        path.write_bytes(base64.b64decode(shot["data"]))

    def requests(self) -> list[str]:
        """Every address that was asked for so far, by the page or by the browser for it."""
        self._entries += self.driver.get_log("performance")
        events = (json.loads(entry["message"])["message"] for entry in self._entries)
        return [
            str(event["params"]["request"]["url"])
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """What the console has of errors and of what a policy refused, since it was last asked."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]


@contextmanager
def started(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        raise AssertionError(_MISSING)
    options = Options()
    options.binary_location = chromium
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", BLANK)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        yield Browser(driver)
    finally:
        driver.quit()

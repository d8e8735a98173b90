"""Debian's chromium, driven headless by selenium, for pages that a person clicks through."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Callable, ClassVar

from selenium import webdriver
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.brokers.host import BrokerUnavailable, apt_install

PATIENCE = 30.0
_PROGRAMS = ("chromium", "chromedriver")
# No sandbox: it refuses to run as root. The other switches keep it from talking to anybody but the page's server.
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


class Browser:
    """A browser with one window and an empty profile. Use it as a context manager, in one thread.

    `driver` is selenium's, for what the methods here do not do. A wait that fails shows the text of the page.
    """

    name: ClassVar[str] = "chromium"

    @classmethod
    def install(cls) -> None:
        """Make sure it is there; raises `BrokerUnavailable` where it cannot be had."""
        if not all(map(shutil.which, _PROGRAMS)):
            apt_install("chromium", "chromium-driver", "fonts-dejavu-core")

    def __enter__(self) -> Browser:
        self.install()
        program, chromedriver = (shutil.which(name) for name in _PROGRAMS)
        if program is None or chromedriver is None:
            raise BrokerUnavailable(f"{' and '.join(_PROGRAMS)} are not in the search path")
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for switch in (*_SWITCHES, f"--user-data-dir={self._profile.name}"):
            options.add_argument(switch)
        try:
            self.driver = webdriver.Chrome(options, Service(chromedriver))
        except BaseException:
            self._profile.cleanup()
            raise
        self.driver.set_page_load_timeout(PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.driver.quit()
        finally:
            self._profile.cleanup()

    def open(self, url: str) -> None:
        """Go to an address, and wait until the page is loaded."""
        self.driver.get(url)

    @property
    def text(self) -> str:
        """What a person reads on the page."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def fill(self, css: str, text: str) -> None:
        """Type into the one field that is there already, instead of what is in it."""
        field = self.driver.find_element(By.CSS_SELECTOR, css)
        field.clear()
        field.send_keys(text)

    def click(self, css: str) -> None:
        """Click on the first element that fits, once it can be clicked."""
        self._wait(lambda: self._clicked(css), f"nothing to click on at {css!r}")

    def wait_for(self, css: str, text: str = "", *, timeout: float = PATIENCE) -> None:
        """Wait until an element that fits is there, with this in its text. The page may load itself anew meanwhile."""
        self._wait(lambda: self._shows(css, text), f"no {css!r} with {text!r}", timeout)

    def screenshot(self, path: Path, *, width: int = 900, height: int = 700) -> None:
        """Write the page, as a window with that much room for it shows it, as a PNG."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.driver.get_screenshot_as_png())

    def _clicked(self, css: str) -> bool:
        found = self.driver.find_elements(By.CSS_SELECTOR, css)
        if not found:
            return False
        found[0].click()
        return True

    def _shows(self, css: str, text: str) -> bool:
        return any(text in element.text for element in self.driver.find_elements(By.CSS_SELECTOR, css))

    def _wait(self, condition: Callable[[], bool], complaint: str, timeout: float = PATIENCE) -> None:
        """Wait for it; an element that goes away meanwhile, with its page, is looked for again."""
        try:
            WebDriverWait(self.driver, timeout, 0.1, (WebDriverException,)).until(lambda _driver: condition())
        except TimeoutException:
            pass
        else:
            return
        raise AssertionError(f"{complaint} within {timeout:g} s at {self.driver.current_url}:\n{self.text}")

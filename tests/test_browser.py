"""The browser that the tests of the examples use."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("selenium")

if TYPE_CHECKING:
    from tests.browser import Browser

_FORM = b"<title>form</title><form method=post><input name=who><button>greet</button></form><p>nobody yet</p>"


class _Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self._answer(_FORM)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"<p>posted " + body + b"</p>")

    def _answer(self, page: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to say."""


@pytest.mark.slow
def test_a_person_fills_in_a_form(browser: Browser, tmp_path: Path) -> None:
    """The browser types, clicks, reads what comes, makes a picture of it, and says what the page shows otherwise."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            browser.open(f"http://127.0.0.1:{server.server_port}/")
            assert "nobody yet" in browser.text
            browser.fill("input[name=who]", "Ada")
            browser.click("button")
            browser.wait_for("p", "posted who=Ada")
            browser.screenshot(tmp_path / "page.png", width=400, height=300)
            with pytest.raises(AssertionError, match=r"no 'p' with 'Grace' within 0\.2 s at .*\nposted who=Ada"):
                browser.wait_for("p", "Grace", timeout=0.2)
        finally:
            server.shutdown()
            serving.join()
    picture = (tmp_path / "page.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert [int.from_bytes(picture[start : start + 4], "big") for start in (16, 20)] == [400, 300]

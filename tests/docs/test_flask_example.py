"""The Flask example, clicked through in a real browser."""

from __future__ import annotations

import http.client
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("flask")
pytest.importorskip("selenium")

from tests.brokers.host import free_ports
from tests.browser import Browser
from tests.docs.pages import DOCS
from tests.faults.signals.processes import Program
from tests.faults.waiting import wait_until

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker

SHOP = DOCS / "examples" / "flask" / "shop"
IMAGE = DOCS / "images" / "flask-shop.png"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_person_clicks_through_the_shop(browser: Browser, tmp_path: Path) -> None:
    """An order is placed and handled, another fails while the bank is closed, and is replayed from the page."""
    [port] = free_ports(1)
    command = ["flask", "--app", str(SHOP), "run", "--port", str(port)]
    environment = {"SHOP_FOLDER": str(tmp_path)}
    with Program(tmp_path / "flask.log", *command, environment=environment) as web:
        web.wait_for("Running on")
        browser.open(f"http://127.0.0.1:{port}/")
        browser.click("#place")
        browser.wait_for("#orders", "paid, receipt sent to Ada")
        browser.click("#close")
        browser.wait_for("#state", "The bank is closed")
        browser.fill("[name=customer]", "Grace")
        browser.click("#place")
        browser.wait_for("#failed", "euros of Grace have to wait")
        browser.wait_for("#orders", "placed")
        if os.environ.get("ASPYX_WRITE_IMAGES") == "1":
            browser.screenshot(IMAGE, width=900, height=800)
        browser.click("#open")
        browser.wait_for("#state", "The bank is open")
        browser.click(".replay")
        browser.wait_for("#orders", "paid, receipt sent to Grace")
        browser.wait_for("#failed", "none")
        web.signal(signal.SIGINT)
        web.ended(60)


def test_the_image_of_the_page_is_there() -> None:
    """The picture that docs/flask.rst shows is a small PNG."""
    data = IMAGE.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) < 100_000


@pytest.mark.artemis
def test_on_a_broker_another_process_handles_what_the_page_sends(tmp_path: Path, artemis: ArtemisBroker) -> None:
    """With a broker in the environment, ``events listen`` of the same application bills the page's orders."""
    [port] = free_ports(1)
    broker = artemis.start()
    environment = {
        "SHOP_FOLDER": str(tmp_path),
        "ASPYX_EVENT_URL": f"amqp://127.0.0.1:{broker.amqp_port}/?prefix=flask-page-shop",
        "ASPYX_EVENT_USER": broker.user,
        "ASPYX_EVENT_PASSWORD": broker.password,
    }
    app = ["flask", "--app", str(SHOP)]
    run = [*app, "run", "--port", str(port)]
    listener = Program(tmp_path / "listen.log", *app, "events", "listen", environment=environment)
    web = Program(tmp_path / "run.log", *run, environment=environment)
    with listener, web:
        listener.wait_for("listening; Ctrl-C ends it")
        wait_until(lambda: answer(port, "GET", "/state"), lambda: web.text)
        answer(port, "POST", "/orders", "customer=Lin&euros=3")
        wait_until(lambda: "receipt sent to Lin" in answer(port, "GET", "/state"), lambda: listener.text + web.text)
        for program in (listener, web):
            program.signal(signal.SIGINT)
            program.ended(60)
    assert "Billing 1 handled" in listener.text.splitlines()[-1]


@pytest.mark.artemis
@pytest.mark.parametrize("broker", ["there", "away"])
def test_gunicorn_connects_before_the_first_request(broker: str, tmp_path: Path, artemis: ArtemisBroker) -> None:
    """With the page's configuration each worker is connected before it is asked, and starts also without a broker."""
    pytest.importorskip("gunicorn")
    [port, nothing] = free_ports(2)
    amqp_port = artemis.start().amqp_port if broker == "there" else nothing
    environment = {
        "SHOP_FOLDER": str(tmp_path),
        "ASPYX_EVENT_URL": f"amqp://127.0.0.1:{amqp_port}/?prefix=flask-shop",
        "ASPYX_EVENT_USER": artemis.user,
        "ASPYX_EVENT_PASSWORD": artemis.password,
    }
    command = ["-c", str(SHOP.parent / "gunicorn.conf.py"), "--chdir", str(SHOP.parent), "-b", f"127.0.0.1:{port}"]
    with Program(tmp_path / "log", "gunicorn", *command, "shop:create_app()", environment=environment) as web:
        if broker == "away":
            web.wait_for("no events yet: ", 2)
        expected = {"there": '"status":"ok"', "away": '"status":"idle"'}[broker]
        wait_until(lambda: expected in answer(port, "GET", "/health"), lambda: web.text)
        web.signal(signal.SIGTERM)
        assert web.ended(60) == 0, web.text
        wait_until(web.group_is_gone, "the end of all workers")


def answer(port: int, method: str, path: str, form: str = "") -> str:
    """The text of an answer; empty while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, form or None, {"Content-Type": "application/x-www-form-urlencoded"})
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()

"""The shop of the documentation, clicked through as a person would."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.brokers.host import HOST, free_ports
from tests.integrations.django.project import ROOT, Program, get

if TYPE_CHECKING:
    from tests.browser import Browser

pytest.importorskip("selenium")

EXAMPLE = ROOT / "docs" / "examples" / "django" / "shop"


def _environment(directory: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ASPYX_EVENT")},
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "error",
        "SHOP_DATA": str(directory),
        "DJANGO_SETTINGS_MODULE": "shop.settings",
    }


@contextmanager
def demo(directory: Path, url: str = "") -> Iterator[tuple[str, Program]]:
    """``python manage.py demo``: its address, and itself. It ends well."""
    (port,) = free_ports(1)
    environment = {**_environment(directory), "ASPYX_EVENT_URL": url} if url else _environment(directory)
    server = Program([sys.executable, "manage.py", "demo", f"{HOST}:{port}"], cwd=EXAMPLE, environment=environment)
    try:
        server.wait_for(f"open http://{HOST}:{port}/")
        get(f"http://{HOST}:{port}/")
        yield f"http://{HOST}:{port}/", server
    finally:
        code = server.end()
        server.close()
    assert code == 0, server.output


def place(browser: Browser, customer: str, euros: int) -> None:
    """Fill in the form."""
    browser.fill("input[name=customer]", customer)
    browser.fill("input[name=amount]", str(euros))
    browser.click("#place")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("provider", ["local", "sqlite", pytest.param("artemis", marks=pytest.mark.artemis)])
def test_a_person_clicks_through_the_shop(
    provider: str, request: pytest.FixtureRequest, browser: Browser, tmp_path: Path, pictures: Path
) -> None:
    """An order is placed, and its event handled; while the bank is closed one fails, and is replayed from the page."""
    url = "local://" if provider == "local" else ""
    if provider == "artemis":
        pytest.importorskip("proton")
        broker: Any = request.getfixturevalue("artemis").start()
        url = f"amqp://{broker.user}:{broker.password}@{broker.host}:{broker.amqp_port}/"
    with demo(tmp_path, url) as (address, _):
        browser.open(address)
        place(browser, "Ada", 20)
        browser.wait_for("#orders tr:nth-child(2)", "Ada 20 billed")

        browser.click("#bank")
        browser.wait_for("main", "The bank is closed")
        place(browser, "Grace", 35)
        browser.wait_for("#failed", "OrderPlaced Billing cannot bill Grace 35 euros 4")
        browser.wait_for("#orders tr:nth-child(2)", "attempt 4 failed")
        if provider == "sqlite":
            browser.screenshot(pictures / "django-shop.png", width=800, height=510)

        browser.click("#bank")
        browser.wait_for("main", "The bank is open")
        browser.click(".replay")
        browser.wait_for("#orders tr:nth-child(2)", "Grace 35 billed")
        browser.wait_for("#failed", "none")
        processes = {row.split()[-1] for row in browser.text.splitlines() if row.split()[-2:-1] == ["billed"]}
        [page] = re.findall(r"This page comes from process (\d+)", browser.text)
        assert (processes == {page}) == (provider == "local")
        assert len(processes) == 1


@pytest.mark.slow
def test_a_port_that_is_in_use(tmp_path: Path) -> None:
    """The demo says so, and takes the process that listens with it."""
    with socket.create_server((HOST, 0)) as taken:
        command = [sys.executable, "manage.py", "demo", f"{HOST}:{taken.getsockname()[1]}"]
        server = Program(command, cwd=EXAMPLE, environment=_environment(tmp_path))
        try:
            assert server.process.wait(60) == 1
            server.wait_for("That port is already in use")  # also the end of all that it started: the pipe is closed
        finally:
            server.close()
    assert "listening" not in server.output or "stopped: Billing 0 handled" in server.output


def test_its_migrations_are_complete(tmp_path: Path) -> None:
    """The example's models and migrations agree, and its settings pass the checks."""
    for command in (["makemigrations", "--check", "--dry-run"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-W", "error", "manage.py", *command],
            cwd=EXAMPLE, env=_environment(tmp_path), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

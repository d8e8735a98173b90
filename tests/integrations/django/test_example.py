"""The shop of the documentation, clicked through as a person would."""

from __future__ import annotations

import os
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


@contextmanager
def demo(directory: Path, url: str = "") -> Iterator[tuple[str, Program]]:
    """``python manage.py demo``: its address, and itself. It ends well."""
    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "error",
        "SHOP_DATA": str(directory),
        "DJANGO_SETTINGS_MODULE": "shop.settings",
    }
    if url:
        environment["ASPYX_EVENT_URL"] = url
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
    with demo(tmp_path, url) as (address, server):
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
        assert len(processes) == 1
        assert (str(server.process.pid) in processes) == (provider == "local")


def test_its_migrations_are_complete(tmp_path: Path) -> None:
    """The example's models and migrations agree, and its settings pass the checks."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "SHOP_DATA": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "shop.settings"
    for command in (["makemigrations", "--check", "--dry-run"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-W", "error", "manage.py", *command],
            cwd=EXAMPLE, env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

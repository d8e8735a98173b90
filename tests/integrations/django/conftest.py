"""The project in this process, for pytest-django, and as processes of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

pytest.importorskip("django")
pytest.importorskip("pytest_django")

_directory = tempfile.TemporaryDirectory(prefix="shop-")
os.environ["SHOP_DIRECTORY"] = _directory.name
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.integrations.django.shop.settings"

import django  # noqa: E402 - it reads the environment

django.setup()

from aspyx_event.integrations.django import state  # noqa: E402


@pytest.fixture(autouse=True)
def no_manager_left(no_leaks: None) -> Iterator[None]:
    """What a test made from the settings ends with it."""
    yield
    state.forget()

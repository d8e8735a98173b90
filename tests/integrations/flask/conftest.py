"""Applications that are stopped in the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from flask import Flask

from tests.integrations.flask import shop

Factory = Callable[..., Flask]


@pytest.fixture
def make_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Factory]:
    """Make applications, each with what it needs; their managers are stopped in the end."""
    for name in ("URL", "USER", "PASSWORD"):
        monkeypatch.delenv(f"ASPYX_EVENT_{name}", raising=False)
    with contextlib.ExitStack() as ending:

        def make(name: str = "shop", **config: Any) -> Flask:
            app = shop.create_app(name, **config)
            ending.callback(app.extensions["aspyx_event"].lazy.stop)
            return app

        yield make

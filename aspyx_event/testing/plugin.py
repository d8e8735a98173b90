"""The fixtures that pytest finds where this distribution is installed: ``event_harness`` and ``tcp_proxy``.

pytest imports this module in every project of such an environment, so it imports nothing by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Callable

import pytest

if TYPE_CHECKING:
    from aspyx_event.testing.harness import EventHarness
    from aspyx_event.testing.proxy import TcpProxy


@pytest.fixture
def event_harness() -> Iterator[Callable[..., EventHarness]]:
    """Makes a started EventHarness, with its arguments: ``event_harness(Billing(fake_bank))``.

    It ends with the test, and raises HarnessFailure then if a listener failed unseen.
    """
    from aspyx_event.testing.harness import EventHarness

    with ExitStack() as stack:

        def make(*things: Any, **options: Any) -> EventHarness:
            harness = EventHarness(*things, **options).start()
            stack.callback(harness.stop)
            return harness

        yield make


@pytest.fixture
def tcp_proxy() -> Iterator[Callable[[str, int], TcpProxy]]:
    """Makes a TcpProxy before a server: ``tcp_proxy("127.0.0.1", 61616)``. It is closed with the test."""
    from aspyx_event.testing.proxy import TcpProxy

    with ExitStack() as stack:
        yield lambda host, port: stack.enter_context(TcpProxy(host, port))

"""For tests: a harness around your listeners, a clock that is moved by hand, a TCP proxy that breaks connections, a
provider that kills its process, and the suite every provider has to pass.

``EventHarness``, ``ManualClock``, ``aspyx_event.testing.proxy.TcpProxy`` and
``aspyx_event.testing.crash.CrashingProvider`` need nothing but Python;
``aspyx_event.testing.conformance.ProviderConformance`` needs pytest (``pip install aspyx-event[test]``). Where pytest
is there, ``aspyx_event.testing.plugin`` has fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aspyx_event.testing.clock import ManualClock as ManualClock
    from aspyx_event.testing.failures import FailedEvent as FailedEvent
    from aspyx_event.testing.failures import HarnessError as HarnessError
    from aspyx_event.testing.failures import HarnessFailure as HarnessFailure
    from aspyx_event.testing.harness import EventHarness as EventHarness

__all__ = ["EventHarness", "FailedEvent", "HarnessError", "HarnessFailure", "ManualClock"]


def __getattr__(name: str) -> Any:
    """Load it on its first use: pytest imports this package in every project where it is installed."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from aspyx_event.testing import clock, failures, harness

    return next(getattr(module, name) for module in (harness, clock, failures) if hasattr(module, name))

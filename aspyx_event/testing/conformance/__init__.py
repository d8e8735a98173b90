"""The universal suite: what every provider has to hold, on every broker.

Subclass it in a test module, and say how to make a provider::

    class TestMyProvider(ProviderConformance):
        def make_provider(self, server_name, prefix, *, port=None):
            return MyProvider(server_name, port=port or 7777, prefix=prefix)

Further hooks: ``broker_port`` (where connections can be cut), ``restart_broker``, ``kill_broker``, ``queue_names``,
``downtime``. Tests skip where ``Capabilities`` says that a provider cannot do a thing, and where a hook is missing.
Every test uses event, listener and queue names of its own, so that a broker may be shared. Register the marker ``slow``
if you run pytest with ``--strict-markers``.
"""

import pytest

for _module in (
    "bench",
    "failing",
    "faults",
    "flow",
    "lifecycle",
    "outages",
    "recorder",
    "seam",
    "sending",
    "settling",
):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")  # asserts that tell, as in the tests of a project itself

# ruff: noqa: E402 - pytest has to know the modules before they are imported
from aspyx_event.testing.conformance.bench import Bench, Sample
from aspyx_event.testing.conformance.failing import FailingTests
from aspyx_event.testing.conformance.faults import FaultTests
from aspyx_event.testing.conformance.flow import FlowTests
from aspyx_event.testing.conformance.lifecycle import LifecycleTests
from aspyx_event.testing.conformance.outages import OutageTests
from aspyx_event.testing.conformance.recorder import Handled, Recorder
from aspyx_event.testing.conformance.seam import Inbox, Seam
from aspyx_event.testing.conformance.settling import SettlingTests


class ProviderConformance(FlowTests, SettlingTests, FailingTests, LifecycleTests, FaultTests, OutageTests):
    """All tests for one provider. See the module's text for the hooks."""


__all__ = ["Bench", "Handled", "Inbox", "ProviderConformance", "Recorder", "Sample", "Seam"]

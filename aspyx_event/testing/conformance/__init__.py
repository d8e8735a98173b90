"""The universal suite: what every provider has to hold, on every broker.

Subclass it in a test module, and say how to make a provider::

    class TestMyProvider(ProviderConformance):
        def make_provider(self, server_name, prefix, *, port=None):
            return MyProvider(server_name, port=port or 7777, prefix=prefix)

Further hooks: ``broker_port`` (where connections can be cut), ``restart_broker``, ``queue_names``, ``downtime``. Tests
skip where ``Capabilities`` says that a provider cannot do a thing, and where a hook is missing. Every test uses event,
listener and queue names of its own, so that a broker may be shared.
"""

from aspyx_event.testing.conformance.bench import Bench, Sample
from aspyx_event.testing.conformance.failing import FailingTests
from aspyx_event.testing.conformance.faults import FaultTests
from aspyx_event.testing.conformance.flow import FlowTests
from aspyx_event.testing.conformance.lifecycle import LifecycleTests
from aspyx_event.testing.conformance.recorder import Handled, Recorder
from aspyx_event.testing.conformance.settling import SettlingTests


class ProviderConformance(FlowTests, SettlingTests, FailingTests, LifecycleTests, FaultTests):
    """All tests for one provider. See the module's text for the hooks."""


__all__ = ["Bench", "Handled", "ProviderConformance", "Recorder", "Sample"]

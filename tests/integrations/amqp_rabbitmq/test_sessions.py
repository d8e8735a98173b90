"""A RabbitMQ that allows few sessions (64 by default): links share one when there are no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aspyx_event import EventManager, EventRegistry, MissingResources, event_listener
from aspyx_event.exceptions import AttachRefused
from aspyx_event.providers.amqp import AMQPProvider
from tests.brokers import BrokerUnavailable
from tests.brokers.rabbitmq import RabbitMQBroker
from tests.integrations.amqp.support import TIMEOUT, Inbox, States, a_listener, an_envelope, an_event, unique
from tests.integrations.amqp_rabbitmq.support import PATIENCE, wait_until

pytestmark = pytest.mark.rabbitmq


class FewSessions(RabbitMQBroker):
    """No more than eight to a connection."""

    def prepare(self) -> None:
        super().prepare()
        path = self.directory / "rabbitmq.conf"
        path.write_text(f"{path.read_text()}session_max_per_connection = 8\n")


@pytest.fixture
def provider() -> Iterator[AMQPProvider]:
    """A provider on a broker of its own."""
    try:
        FewSessions.install()
    except BrokerUnavailable as error:
        pytest.skip(str(error))
    with FewSessions() as broker:
        provider = AMQPProvider(unique("server"), "127.0.0.1", broker.amqp_port, broker.user, broker.password)
        provider.start(States(), timeout=PATIENCE)
        yield provider
        provider.stop(timeout=5)


def test_more_links_than_sessions(provider: AMQPProvider) -> None:
    """Twelve listeners and twelve events on eight sessions; a refused link among them is got over."""
    events = [an_event() for _ in range(12)]
    inboxes = [Inbox() for _ in events]
    for event, inbox in zip(events, inboxes):
        provider.subscribe(a_listener(event), inbox, credit=5, timeout=TIMEOUT)
        provider.send(an_envelope(1), event).result(TIMEOUT)
    for inbox in inboxes:
        inbox.wait(1)[0].accept()
    with pytest.raises(AttachRefused, match="no queue"):  # ends the session that others use
        list(provider.browse("nowhere", timeout=TIMEOUT))
    for event in events:
        provider.send(an_envelope(2), event).result(TIMEOUT)
    wait_until(lambda: all("id-2" in inbox.numbers for inbox in inboxes))


def test_more_links_than_one_session_holds(provider: AMQPProvider) -> None:
    """Three hundred listeners on eight sessions, which hold 256 links each, all get their events."""
    event = an_event()
    inboxes = [Inbox() for _ in range(300)]
    for inbox in inboxes:
        provider.subscribe(a_listener(event), inbox, credit=5, timeout=PATIENCE)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    for inbox in inboxes:
        inbox.wait(1)[0].accept()


def test_links_that_are_refused_side_by_side(rabbitmq: RabbitMQBroker) -> None:
    """Every refused link ends its session; those that begin meanwhile are answered, again and again."""
    broker = rabbitmq.start()
    url = f"amqp://{broker.user}:{broker.password}@{broker.host}:{broker.amqp_port}/?declare=false"
    for _ in range(10):
        registry = EventRegistry()
        for kind in [an_event() for _ in range(12)]:
            registry.register(event_listener(kind.type, unique("listener"))(lambda _event: None))
        with pytest.raises(MissingResources) as raised:
            EventManager(url, registry=registry).start(PATIENCE)
        assert len([d for d in raised.value.differences if d.resource.kind == "queue"]) >= 12

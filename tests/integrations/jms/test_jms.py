"""A Java service on JMS and a Python service on this library, over AMQP or STOMP, through one Artemis."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("proton")
pytest.importorskip("stomp")

from aspyx_event import DeadLetter, Envelope, EventManager, EventRegistry, current_envelope, event, event_listener
from aspyx_event.provider import Provider
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.providers.stomp import StompProvider
from aspyx_event.timing import Deadline
from tests.integrations.amqp.support import unique
from tests.integrations.jms.client import JmsClient

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker

pytestmark = pytest.mark.artemis

TIMEOUT = 20.0
STRANGERS = {"JMSXDeliveryCount", "_AMQ_CONTENT_TYPE", "content-type", "destination", "receipt"}
"""What JMS and, for events that were sent over STOMP, Artemis add."""


@dataclass
class Order:
    """What Java and Python talk about."""

    id: int
    customer: str = ""


class PythonService:
    """A manager with a listener that keeps what it handles."""

    def __init__(self, provider: Provider) -> None:
        self.topic = unique("Order")
        self.kind: type[Order] = event(self.topic, durable=True)(type("Order", (Order,), {"__doc__": "An order."}))
        self._handled: list[tuple[Order, Envelope]] = []
        self._changed = threading.Condition()

        @event_listener(self.kind, f"billing-{self.topic}")
        def listener(order: Any) -> None:
            self._handle(order)

        self.manager = EventManager(provider, registry=EventRegistry().register(listener))

    def _handle(self, order: Any) -> None:
        envelope = current_envelope()
        assert envelope is not None
        with self._changed:
            self._handled.append((order, envelope))
            self._changed.notify_all()

    def handled(self) -> tuple[Order, Envelope]:
        """The one event that it gets, and its envelope."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._handled, TIMEOUT), (
                f"nothing was handled; dead letters: {list(self.manager.dead_letters())}"
            )
            [found] = self._handled
            return found

    def dead_letter(self) -> DeadLetter:
        """The one event in its error queue."""
        deadline, pause = Deadline(TIMEOUT), threading.Event()
        while not (found := list(self.manager.dead_letters())) and not deadline.passed:
            pause.wait(0.1)
        [letter] = found
        return letter


@pytest.fixture(params=["amqp", "stomp"])
def python(artemis: ArtemisBroker, request: pytest.FixtureRequest) -> Iterator[PythonService]:
    """A started service over each protocol."""
    artemis.start()
    prefix = unique("jms")
    login = (artemis.user, artemis.password)
    provider: Provider = (
        AMQPProvider(prefix, artemis.host, artemis.amqp_port, *login, prefix=prefix)
        if request.param == "amqp"
        else StompProvider(prefix, artemis.host, artemis.stomp_port, *login, prefix=prefix)
    )
    service = PythonService(provider)
    with service.manager:
        yield service


def test_plain_json_from_java_is_a_good_event(python: PythonService, jms: JmsClient) -> None:
    """A TextMessage of JSON is handled as an event; its id is the native message id."""
    identifier = jms.send_text(python.topic, '{"id": 7, "customer": "Jürgen €😀"}')
    order, envelope = python.handled()
    assert (order.id, order.customer) == (7, "Jürgen €😀")
    assert envelope.id == identifier
    assert (envelope.attempt, envelope.headers) == (1, {})


def test_a_bytes_message_is_a_dead_letter(python: PythonService, jms: JmsClient) -> None:
    """JMS says that the bytes of a BytesMessage are octets, which is not JSON: kept, with the reason."""
    identifier = jms.send_bytes(python.topic, '{"id": 7}')
    letter = python.dead_letter()
    assert (letter.id, letter.reason, letter.body) == (identifier, "decode", b'{"id": 7}')
    assert "application/octet-stream" in letter.error_message


def test_jms_properties_are_user_headers(python: PythonService, jms: JmsClient) -> None:
    """String, int and boolean properties arrive in ``envelope.get`` as strings, and nothing else does."""
    jms.send_text(python.topic, '{"id": 1}', tenant="shop:é\n😀", empty="", count=-42, urgent=True, paid=False)
    _, envelope = python.handled()
    assert envelope.headers == {
        "tenant": "shop:é\n😀",
        "empty": "",
        "count": "-42",
        "urgent": "true",
        "paid": "false",
    }
    assert envelope.get("count") == "-42"


def test_java_reads_our_events_as_text(python: PythonService, jms: JmsClient) -> None:
    """Our event is a TextMessage of compact JSON, with the CloudEvents attributes and user headers as properties."""
    jms.subscribe(python.topic)
    python.manager.send_event(
        python.kind(3, "Jürgen €😀"), id="order-3", key="k1", headers={"tenant": "shop:é\n😀", "empty": ""}
    )
    message = jms.receive()
    assert (message.kind, message.text) == ("TextMessage", '{"id":3,"customer":"Jürgen €😀"}')
    properties = {name: found for name, found in message.properties.items() if name not in STRANGERS}
    assert properties.pop("cloudEvents_time")[1].endswith("Z")
    assert properties == {
        "cloudEvents_id": ("String", "order-3"),
        "cloudEvents_source": ("String", python.manager.provider.server_name),
        "cloudEvents_type": ("String", python.topic),
        "cloudEvents_specversion": ("String", "1.0"),
        "cloudEvents_partitionkey": ("String", "k1"),
        "tenant": ("String", "shop:é\n😀"),
        "empty": ("String", ""),
    }
    python.handled()

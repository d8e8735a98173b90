"""RabbitMQ's names and arguments, on which both protocols have to agree."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aspyx_event.providers.brokers import rabbitmq as rules
from aspyx_event.providers.brokers.rabbitmq import delay_step
from tests.integrations.amqp.support import a_listener, an_event

HOUR = 3600


@given(st.floats(0.001, 40 * 24 * 3600))
def test_delay_steps(seconds: float) -> None:
    """A delay is never shortened, and by a quarter longer at most, but for the very short ones."""
    step = delay_step(seconds)
    assert step >= round(seconds * 1000)
    assert step <= max(100, seconds * 1000 * 1.26)


def test_few_delay_steps() -> None:
    """All delays from a tenth of a second to a day share some dozens of queues."""
    steps = {delay_step(0.1 * 1.01**power) for power in range(1400)}
    assert len(steps) < 80
    assert delay_step(10.0) == 10_000
    assert delay_step(10**9) <= 49 * 24 * 3600 * 1000


def test_queues_of_listeners() -> None:
    """Quorum with dead letters for what is durable, classic with an end for the rest."""
    durable = dict(rules.listener_queue("e::l", a_listener(an_event()), error_queue="dead").arguments)
    assert durable["x-queue-type"] == "quorum"
    assert (durable["x-dead-letter-exchange"], durable["x-dead-letter-routing-key"]) == ("", "dead")
    passing = rules.listener_queue("e::l", a_listener(an_event(durable=False)), error_queue="dead")
    assert dict(passing.arguments) == {"x-queue-type": "classic", "x-expires": 60_000}
    own = rules.listener_queue("e::l-s", a_listener(an_event(), per_process=True), error_queue="dead")
    assert dict(own.arguments) == {"x-queue-type": "classic", "x-expires": 3_600_000}


@given(st.floats(0.001, 40 * 24 * 3600), st.floats(0, 10**10), st.booleans(), st.booleans())
def test_a_delay_queue_outlives_its_messages(delay: float, now: float, durable: bool, confirming: bool) -> None:
    """What is sent in the last moment of a queue's hour still has its whole delay before the queue is deleted."""
    first = rules.delayed_copy("e::l", delay, durable=durable, confirming=confirming, now=now // HOUR * HOUR)
    last = rules.delayed_copy("e::l", delay, durable=durable, confirming=confirming, now=now // HOUR * HOUR + HOUR - 1)
    assert first == last
    found = dict(first.arguments)
    ttl, expires = found["x-message-ttl"], found["x-expires"]
    assert isinstance(ttl, int)
    assert isinstance(expires, int)
    assert expires >= HOUR * 1000 + ttl
    assert expires < 2**32
    later = rules.delayed_copy("e::l", delay, durable=durable, confirming=confirming, now=now // HOUR * HOUR + HOUR)
    assert later.name != first.name


def test_delay_queues_of_one_name_have_one_set_of_arguments() -> None:
    """Whatever differs in the arguments differs in the name: declaring a queue with others would be refused."""
    made = [
        make(name, delay, durable=durable, confirming=confirming, now=0)
        for make in (rules.delayed_event, rules.delayed_copy)
        for name in ("e", "e::l")
        for delay in (0.1, 1.0, 60.0)
        for durable in (True, False)
        for confirming in (True, False)
    ]
    assert len({queue.name for queue in made}) == len(set(made))


def test_a_copy_returns_to_its_queue_alone() -> None:
    """A copy dead-letters into its queue, an event to everybody's exchange."""
    copy = dict(rules.delayed_copy("e::l", 1.0, durable=True).arguments)
    assert (copy["x-dead-letter-exchange"], copy["x-dead-letter-routing-key"]) == ("", "e::l")
    event = dict(rules.delayed_event("e", 1.0, durable=True).arguments)
    assert (event["x-dead-letter-exchange"], event["x-dead-letter-routing-key"]) == ("amq.topic", "e")

"""The rows of the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.benchmarks import footprint, in_flight, in_process, latency, ours, raw_proton, raw_stomp
from tests.benchmarks.measuring import RATE, Case, Figures, percentiles
from tests.benchmarks.peers import sides as peers
from tests.benchmarks.raw_blocking import BlockingClient
from tests.benchmarks.samples import Place, body_of_size, place

THREADS = 16
_WAITING_SIZE = 200
HANDLER = "proton MessagingHandler"


@dataclass(frozen=True)
class Amounts:
    """How many events a side handles in one round."""

    many: int = 6000
    local: int = 20_000
    each: int = 300
    threads: int = 1600
    steady: int = 1000
    tasks: int = 3000
    waiting: int = 10_000

    def divided(self, by: int) -> Amounts:
        """Fewer of each, for a quick look."""
        return Amounts(
            self.many // by,
            self.local // by,
            max(200, self.each // by),
            self.threads // by,
            max(500, self.steady // by),
            max(200, self.tasks // by),
            self.waiting // by,
        )


def of_broker(broker: Any, sizes: Iterable[int], amounts: Amounts) -> Iterator[Case]:
    """What is measured on one running broker."""
    amqp, stomp = place("amqp", broker), place("stomp", broker)
    ours.declare(amqp)
    for size in sizes:
        yield _amqp_receive(amqp, broker.name, size, amounts.many)
        yield _amqp_send(amqp, broker.name, size, amounts.many)
        yield _amqp_each(amqp, broker.name, size, amounts.each)
        yield _amqp_threads(amqp, broker.name, size, amounts.threads)
        yield _amqp_threads(amqp, broker.name, size, amounts.threads, most=THREADS)
    yield Case(
        "AMQP latency at 500/s", f"blocking client, {HANDLER}",
        lambda: latency.of_ours(amqp, amounts.steady), lambda: latency.of_raw(amqp, amounts.steady), broker.name,
    )  # fmt: skip
    ours.declare(stomp)
    for size in sizes:
        yield _stomp_receive(stomp, broker.name, size, amounts.many)
        yield _stomp_send(stomp, broker.name, size, amounts.many)
    yield Case(
        "memory at rest", f"{HANDLER}, no pydantic",
        lambda: footprint.at_rest(amqp, of_ours=True), lambda: footprint.at_rest(amqp, of_ours=False), broker.name,
    )  # fmt: skip
    yield from _waiting(amqp, broker.name, amounts.waiting)
    if broker.name == "rabbitmq":
        yield from peers.cases(broker, sizes, amounts.tasks)


def _waiting(at: Place, where: str, count: int) -> Iterator[Case]:
    yield Case(
        f"memory of {count} sends", f"{HANDLER}, as many sends at once",
        lambda: in_flight.sending(at, count, _WAITING_SIZE, of_ours=True),
        lambda: in_flight.sending(at, count, _WAITING_SIZE, of_ours=False),
        where, _WAITING_SIZE, after=lambda: raw_proton.receive(at, count + in_flight.BEFORE),
    )  # fmt: skip
    yield Case(
        f"memory of {count} received", f"{HANDLER}, deliveries and bodies",
        lambda: in_flight.receiving(at, count, of_ours=True), lambda: in_flight.receiving(at, count, of_ours=False),
        where, _WAITING_SIZE, before=lambda: ours.send_many(at, count, _WAITING_SIZE),
    )  # fmt: skip


def without_broker(sizes: Iterable[int], amounts: Amounts) -> Iterator[Case]:
    """What needs none."""
    for size in sizes:
        yield _local(size, amounts.local)
    pydantic = "import pydantic; pydantic.BaseModel, pydantic.TypeAdapter"
    yield _import("import aspyx_event", "EventManager, aspyx_event.LocalProvider", pydantic)
    yield _import("import aspyx_event, with AMQPProvider", "EventManager, aspyx_event.AMQPProvider", pydantic)


def _import(name: str, what: str, against: str) -> Case:
    return Case(
        name, "import pydantic",
        lambda: footprint.imported(f"import aspyx_event; aspyx_event.{what}"), lambda: footprint.imported(against),
    )  # fmt: skip


def _rate(value: float) -> Figures:
    return {RATE: value}


def _amqp_receive(at: Place, where: str, size: int, total: int) -> Case:
    return Case(
        "AMQP receive", f"{HANDLER}, receive and accept",
        lambda: _rate(ours.receive(at, total)), lambda: _rate(raw_proton.receive(at, total)),
        where, size, total, before=lambda: ours.send_many(at, total, size),
    )  # fmt: skip


def _amqp_send(at: Place, where: str, size: int, total: int) -> Case:
    body = body_of_size(size)
    return Case(
        "AMQP send_events", f"{HANDLER}, pipelined send and confirm",
        lambda: _rate(ours.send_many(at, total, size)), lambda: _rate(raw_proton.send(at, total, body)),
        where, size, total, after=lambda: raw_proton.receive(at, total),
    )  # fmt: skip


def _each(seconds: list[float]) -> Figures:
    return {RATE: len(seconds) / sum(seconds), **percentiles(seconds)}


def _raw_each(at: Place, size: int, total: int) -> Figures:
    body = body_of_size(size)
    with BlockingClient(at) as client:
        client.send(body)
        return _each([ours.timed(lambda: client.send(body)) for _ in range(total - 1)])


def _amqp_each(at: Place, where: str, size: int, total: int) -> Case:
    return Case(
        "AMQP send_event, one thread", "blocking client on proton's engine",
        lambda: _each(ours.send_each(at, total, size)), lambda: _raw_each(at, size, total),
        where, size, after=lambda: raw_proton.receive(at, total),
    )  # fmt: skip


def _amqp_threads(at: Place, where: str, size: int, total: int, *, most: int | None = None) -> Case:
    body, count = body_of_size(size), total // THREADS * THREADS + 1
    what, against = f"{THREADS} threads", "pipelined send and confirm"
    if most is not None:
        what, against = f"each of {THREADS} threads one", f"{most} in flight"
    return Case(
        f"AMQP send_event, {what}", f"{HANDLER}, {against}",
        lambda: _rate(ours.send_threads(at, total, size, threads=THREADS)),
        lambda: _rate(raw_proton.send(at, count, body, in_flight=most)),
        where, size, after=lambda: raw_proton.receive(at, count),
    )  # fmt: skip


def _stomp_receive(at: Place, where: str, size: int, total: int) -> Case:
    return Case(
        "STOMP receive", "stomp.py, receive and ack",
        lambda: _rate(ours.receive(at, total)), lambda: _rate(raw_stomp.receive(at, total)),
        where, size, total, before=lambda: ours.send_many(at, total, size),
    )  # fmt: skip


def _stomp_send(at: Place, where: str, size: int, total: int) -> Case:
    body = body_of_size(size)
    return Case(
        "STOMP send_events", "stomp.py, pipelined send and receipt",
        lambda: _rate(ours.send_many(at, total, size)), lambda: _rate(raw_stomp.send(at, total, body)),
        where, size, total, after=lambda: raw_stomp.receive(at, total),
    )  # fmt: skip


def _local(size: int, total: int) -> Case:
    return Case(
        "LocalProvider, end to end", "ThreadPoolExecutor, submit and result",
        lambda: in_process.of_ours(total, size), lambda: in_process.of_raw(total, size), "", size, total,
    )  # fmt: skip

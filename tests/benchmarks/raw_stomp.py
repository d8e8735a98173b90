"""stomp.py as its documentation shows it: receipts, acknowledgements one by one, a window of both on their way."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import stomp

from tests.benchmarks.samples import PATIENCE, Meter, Place

WINDOW = 512
"""Unconfirmed messages, as many as in one ``send_events`` of ours."""
# stomp.py reports the end of each connection, which the broker closes after DISCONNECT, as an error.
logging.getLogger("stomp.py").addHandler(logging.NullHandler())
_HEARTBEATS = (10_000, 10_000)


def _connection(place: Place, listener: Any) -> Any:
    where = [(place.host, place.port)]
    connection = stomp.Connection12(where, heartbeats=_HEARTBEATS, auto_decode=False, vhost=place.vhost)
    connection.set_listener("bench", listener)
    connection.connect(place.user, place.password, wait=True)
    return connection


class _Consumer(stomp.ConnectionListener):  # type: ignore[misc]
    def __init__(self, total: int) -> None:
        self.meter = Meter(total)
        self.connection: Any = None

    def on_message(self, frame: Any) -> None:
        self.connection.ack(frame.headers["ack"])
        self.meter.hit()


def receive(place: Place, total: int) -> float:
    """Receive and acknowledge so many messages, without looking into their bodies; messages a second."""
    consumer = _Consumer(total)
    consumer.connection = connection = _connection(place, consumer)
    connection.subscribe(place.source, id="1", ack="client-individual", headers=dict(place.subscribe_headers))
    try:
        return consumer.meter.rate()
    finally:
        connection.disconnect(receipt="bye")  # with a receipt: what was acknowledged before has arrived


class _Producer(stomp.ConnectionListener):  # type: ignore[misc]
    def __init__(self, total: int) -> None:
        self.window = threading.Semaphore(WINDOW)
        self.done = threading.Event()
        self._left = total

    def on_receipt(self, frame: Any) -> None:
        if frame.headers["receipt-id"] == "bye":
            return
        self.window.release()
        self._left -= 1  # one thread reads
        if not self._left:
            self.done.set()


def send(place: Place, total: int, body: bytes) -> float:
    """Send so many persistent messages, each with a receipt, a window of them at a time; messages a second."""
    producer = _Producer(total)
    connection = _connection(place, producer)
    try:
        begin = time.perf_counter()
        for number in range(total):
            if not producer.window.acquire(timeout=PATIENCE):
                raise TimeoutError(f"no receipt has come after {number} messages")
            headers = {"persistent": "true", "receipt": str(number), **place.send_headers}
            connection.send(place.target, body, content_type="application/json", headers=headers)
        if not producer.done.wait(PATIENCE):
            raise TimeoutError(f"{total} messages were sent and not all confirmed")
        return total / (time.perf_counter() - begin)
    finally:
        connection.disconnect(receipt="bye")

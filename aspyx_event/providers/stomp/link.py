"""One STOMP connection, from CONNECT to its end."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Callable, Optional

from aspyx_event.exceptions import EventError, ProviderError, ProviderUnavailable
from aspyx_event.providers.network.futures import fail, resolve
from aspyx_event.providers.stomp import encoding, heartbeats
from aspyx_event.providers.stomp.errors import (
    ErrorFrame,
    LinkLost,
    SubscriptionEnded,
    connect_error,
    connection_is_gone,
    error_text,
)
from aspyx_event.providers.stomp.outbox import Outbox
from aspyx_event.providers.stomp.stream import Stream
from aspyx_event.timing import Deadline

logger = logging.getLogger(__name__)

Answer = Callable[[Optional[ProviderError]], None]
"""Called once, by the reading thread or the one that ends the link: None, ErrorFrame, or LinkLost. Must not block."""
Message = tuple[dict[str, str], bytes]
OnMessages = Callable[[list[Message]], None]

_WRITE_SLICE = 0.5


class Link:
    """A connection that has been accepted by the broker. Single use.

    Sending methods belong to any thread and never block; ``pump``, ``drain`` and ``close`` belong to one thread, the
    owner's, which does the writing.
    """

    def __init__(self, stream: Stream, peer: tuple[str, int], *, name: str, heartbeat: float) -> None:
        from aspyx_event.providers.stomp.wire import Wire

        self.where = f"{peer[0]}:{peer[1]}"
        self.server = ""
        """What the broker calls itself."""
        self._stream = stream
        self._outbox = Outbox()
        self._lock = threading.Lock()
        self._answers: dict[bytes, Answer] = {}
        self.on_confirmed: Callable[[list[Any]], None] = _confirm_each
        """Hears of the receipts that have come at once, as the ``answer`` of each SEND. Set before ``publish``."""
        self._consumers: dict[str, OnMessages] = {}
        self._lasting: set[str] = set()
        self._ids = itertools.count(1)
        self._connected: Future[dict[str, str]] = Future()
        self._refusal: str | None = None
        self._error: ProviderError | None = None
        self._ended = False
        self._disconnecting = False
        self._beat_every: float | None = None
        self._silence: float | None = None
        self._heartbeat = heartbeat
        self._wrote_at = self.message_at = time.monotonic()
        """``message_at``: when the last message came, or the connection was made."""
        self._wire = Wire(
            stream,
            name=name,
            put=self._outbox.put,
            on_receipts=self._on_receipts,
            on_frames=self._on_frames,
            on_end=self.end,
        )

    # -- its beginning ---------------------------------------------------------------------------------------------

    def connect(
        self, user: str, password: str, virtual_host: str, *, deadline: Deadline, stop: threading.Event
    ) -> None:
        """Introduce ourselves and wait for the answer. Raises what ``connect_error`` makes of a refusal."""
        beat = round(self._heartbeat * 1000)
        headers = {"accept-version": "1.2", "host": virtual_host, "heart-beat": f"{beat},{beat}"}
        if user:
            headers.update(login=user, passcode=password)
        self._wire.reader.start()
        self._wire.frame("CONNECT", headers)
        while not self._connected.done():
            if deadline.passed or stop.is_set():
                raise ProviderUnavailable(f"{self.where}: CONNECT: no answer in time")
            self.pump(min(_WRITE_SLICE, deadline.left() or 0))
        greeting = self._connected.result(0)
        self.server = greeting.get("server", "")
        self._beat_every, self._silence = heartbeats.agreed(self._heartbeat, greeting.get("heart-beat", "0,0"))

    # -- what any thread may do ------------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether what is sent now has a chance to arrive."""
        return not self._ended and not self._disconnecting

    @property
    def error(self) -> ProviderError:
        """Why it ended."""
        if self._error is not None:
            return self._error
        if self._refusal is not None:
            text = f"the connection to {self.where} is lost: the broker said: {self._refusal}"
            return LinkLost(text, refusal=self._refusal)
        return LinkLost(f"the connection to {self.where} is lost: closed by the other side")

    @property
    def complained(self) -> bool:
        """Whether the broker sent an ERROR frame that belongs to no request: then it closes, and confirms nothing."""
        return self._refusal is not None

    def request(self, command: str, headers: dict[str, str], body: bytes = b"", *, answer: Answer) -> None:
        """Write a frame that asks for a receipt; ``answer`` hears how it ended."""
        with self._lock:
            if not self._ended:
                receipt = f"r{next(self._ids)}"
                self._answers[receipt.encode()] = answer
                self._wire.frame(command, {**headers, "receipt": receipt}, body)
                return
        answer(self.error)

    def publish(self, head: bytes, body: bytes, *, answer: Answer) -> None:
        """``request`` of a SEND frame whose headers are encoded already; ``on_confirmed`` hears of its receipt."""
        with self._lock:
            if not self._ended:
                receipt = b"s%d" % next(self._ids)
                self._answers[receipt] = answer
                self._outbox.put(b"%breceipt:%b\n\n%b\0" % (head, receipt, body))
                return
        answer(self.error)

    def ask(self, command: str, headers: dict[str, str], body: bytes = b"") -> Future[None]:
        """``request`` with a future, which fails with ErrorFrame or LinkLost."""
        done: Future[None] = Future()
        self.request(command, headers, body, answer=lambda error: resolve(done) if error is None else fail(done, error))
        return done

    def tell(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        """Write a frame without asking for a receipt."""
        if not self._ended:
            self._wire.frame(command, headers, body)

    def acknowledge(self, message: str) -> None:
        """Write an ACK."""
        if not self._ended:
            self._outbox.put(encoding.acknowledgement(message))

    def consume(self, subscription: str, on_messages: OnMessages, *, unsubscribe: bool = True) -> None:
        """Hand the messages of a subscription to ``on_messages``, in the reading thread, as many as have come at once.

        unsubscribe: whether it is ended by an UNSUBSCRIBE, or by the end of the connection.
        """
        self._consumers[subscription] = on_messages
        if not unsubscribe:
            self._lasting.add(subscription)

    def wake(self) -> None:
        """Let the owner's ``pump`` return."""
        self._outbox.wake()

    def end(self, error: ProviderError | None = None) -> None:
        """Cut the connection. Whoever still waits for an answer gets the error; any thread."""
        with self._lock:
            if self._error is None:
                self._error = error
            first, self._ended = not self._ended, True
            answers, self._answers = list(self._answers.values()), {}
        if first:
            self._stream.close()
            self._outbox.wake()
            fail(self._connected, self._lost_while_connecting())
        lost = LinkLost(str(self.error), refusal=self._refusal)
        for answer in answers:
            answer(lost)

    def _lost_while_connecting(self) -> EventError:
        return self._error or ProviderUnavailable(f"{self.where}: CONNECT: closed by the other side")

    # -- what the owner's thread does ------------------------------------------------------------------------------

    def pump(self, timeout: float) -> bool:
        """Write what is to be written, and heartbeats; wait at most ``timeout`` seconds for something to write.

        False: the connection has ended.
        """
        if self._ended:
            return False
        wait = timeout if self._beat_every is None else min(timeout, self._beat_due())
        data = self._outbox.take(max(0.0, wait))
        if self._ended:
            return False
        if data:
            self._write(data)
        elif self._beat_every is not None and self._beat_due() <= 0:
            self._write(b"\n")
        self._check_silence()
        return not self._ended

    def _beat_due(self) -> float:
        return self._wrote_at + (self._beat_every or 0) - time.monotonic()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left and not self._ended:
                written = self._stream.write(left, _WRITE_SLICE)
                left = left[written:]
                if not written:
                    self._check_silence()
        except OSError as error:
            self.end(LinkLost(f"the connection to {self.where} is lost: {error.strerror or error}"))
        self._wrote_at = time.monotonic()

    def _check_silence(self) -> None:
        if self._silence is not None and time.monotonic() - self._stream.heard_at > self._silence:
            self.end(
                LinkLost(
                    f"the connection to {self.where} is lost: the broker was silent for {self._silence:g} s "
                    "(two and a half heartbeats)"
                )
            )

    def wait(self, future: Future[Any], deadline: Deadline, what: str) -> Any:
        """Pump until a future is done. Raises its error, or ProviderUnavailable after the deadline."""
        future.add_done_callback(lambda _future: self.wake())
        while not future.done():
            if deadline.passed:
                raise ProviderUnavailable(f"{self.where}: {what}: no answer in time")
            left = deadline.left()
            if not self.pump(1.0 if left is None else min(1.0, left)) and not future.done():
                raise self.error
        return future.result(0)

    def close(self, deadline: Deadline) -> None:
        """Say goodbye, so that everything written is dealt with and the unsettled goes back at once; then end it.

        Subscriptions are ended first: a DISCONNECT alone counts as a failed delivery of the first unsettled message
        on Artemis, which takes a message away after ten of them (measured with 2.40).
        """
        if self.alive:
            for name in tuple(self._consumers):
                if name not in self._lasting:
                    self.tell("UNSUBSCRIBE", {"id": name})
            goodbye: Future[None] = Future()
            self.request("DISCONNECT", {}, answer=lambda _error: resolve(goodbye))
            self._disconnecting = True
            goodbye.add_done_callback(lambda _future: self.wake())
            while not goodbye.done() and not deadline.passed:
                left = deadline.left()
                if not self.pump(1.0 if left is None else min(1.0, left)):
                    break
        self.end()
        self.dispose(deadline)

    def dispose(self, deadline: Deadline) -> None:
        """Wait for the reading thread, and give the descriptor back."""
        reader = self._wire.reader
        if reader.ident is not None and reader is not threading.current_thread():
            left = deadline.left()
            reader.join(5.0 if left is None else max(left, 1.0))
        self._stream.dispose()

    # -- what the reading thread does ------------------------------------------------------------------------------

    def _on_receipts(self, receipts: list[bytes]) -> None:
        _guarded(self.on_confirmed, self._taken(receipts))

    def _on_frames(self, frames: list[encoding.Frame]) -> None:
        for command, found in itertools.groupby(frames, key=lambda frame: frame[0]):
            if command == "MESSAGE":
                self._on_messages(found)
            elif command == "RECEIPT":
                for answer in self._taken([headers.get("receipt-id", "").encode() for _, headers, _ in found]):
                    _guarded(answer, None)
            else:
                for _, headers, body in found:
                    _guarded(self._on_other, command, headers, body)

    def _on_messages(self, frames: Iterator[encoding.Frame]) -> None:
        self.message_at = time.monotonic()
        for subscription, found in itertools.groupby(frames, key=lambda frame: frame[1].get("subscription", "")):
            consumer = self._consumers.get(subscription)
            if consumer is not None:
                _guarded(consumer, [(headers, body) for _, headers, body in found])

    def _on_other(self, command: str, headers: dict[str, str], body: bytes) -> None:
        if command == "ERROR":
            self._on_error(headers, body)
        elif command == "CONNECTED":
            resolve(self._connected, headers)
            self._outbox.wake()

    def _taken(self, receipts: list[bytes]) -> list[Answer]:
        if self._refusal is not None:
            return []  # RabbitMQ sends a receipt even after the error that the request ended in
        with self._lock:
            return [answer for receipt in receipts if (answer := self._answers.pop(receipt, None)) is not None]

    def _on_error(self, headers: dict[str, str], body: bytes) -> None:
        text = error_text(headers, body)
        if not self._connected.done():
            fail(self._connected, connect_error(self.where, text))
            self._outbox.wake()
            return
        if connection_is_gone(text):
            self.end(LinkLost(f"the connection to {self.where} is lost: the broker said: {text}"))
            return
        with self._lock:
            answer = self._answers.pop(headers.get("receipt-id", "").encode(), None)
        if answer is not None:
            answer(ErrorFrame(text))
            return
        logger.debug("%s sent an ERROR frame: %s", self.where, text)
        if headers.get("subscription") in self._consumers:  # RabbitMQ: its queue is gone; the connection would stay
            self.end(SubscriptionEnded(f"{self.where}: the broker ended a subscription: {text}"))
            return
        self._refusal = text
        self._outbox.wake()

    def __repr__(self) -> str:
        return f"<Link {self.where} {self.server or 'not connected'}{'' if self.alive else ' ended'}>"


def _confirm_each(answers: list[Answer]) -> None:
    for answer in answers:
        answer(None)


def _guarded(call: Callable[..., None], *arguments: object) -> None:
    """What fails with one frame must not take the others along, nor the thread that reads."""
    try:
        call(*arguments)
    except Exception:
        logger.exception("what the broker sent could not be handled")

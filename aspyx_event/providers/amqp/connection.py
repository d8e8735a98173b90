"""One connection, from the connected socket to its end, and the thread that owns it."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import Any, Callable, Optional

from aspyx_event.exceptions import ProviderError, ProviderUnavailable
from aspyx_event.provider import Confirmation
from aspyx_event.providers.amqp.engine import Engine
from aspyx_event.providers.amqp.errors import connection_error
from aspyx_event.providers.amqp.nodes import Condition
from aspyx_event.providers.amqp.settings import AMQPSettings
from aspyx_event.providers.network.futures import fail, resolve
from aspyx_event.providers.network.tls import would_block

logger = logging.getLogger(__name__)

_READ = 256 * 1024
_BLOCKED = (BlockingIOError, InterruptedError)
_LONGEST_PAUSE = 60.0


class Connection:
    """A connection and its I/O thread. Single use: when it has ended, another one is made.

    ``post``, ``settle``, ``wake``, ``close`` and ``abort`` are thread-safe; the engine belongs to the I/O thread, which
    runs what was posted. ``opened`` is set with the broker's properties, or fails; ``ended`` is set with the reason
    when the thread has let go of everything.
    """

    def __init__(self, sock: socket.socket, settings: AMQPSettings, host: str, port: int, *, container: str) -> None:
        self.where = f"{host}:{port}"
        self.opened: Future[dict[str, Any]] = Future()
        self.ended: Future[ProviderError] = Future()
        self.alive = True
        """False as soon as no settlement can have an effect any more."""
        self.on_wake: Optional[Callable[[], None]] = None
        """Called on the I/O thread for every burst of wake-ups."""
        self.on_end: list[Callable[[ProviderError], None]] = []
        """Called on the I/O thread as its last act."""
        self._settings = settings
        self._host, self._container = host, container
        self._sock: Any = sock
        self._blocked: tuple[type[OSError], ...] = (*_BLOCKED, *would_block()) if settings.secure else _BLOCKED
        self._commands: deque[Callable[[], None]] = deque()
        self._settlements: deque[tuple[Any, int, bool]] = deque()
        self._confirmed: deque[Confirmation[None]] = deque()
        self._woken = False
        self._failure: Optional[ProviderError] = None
        self._closing = False
        self._finished = False
        self._phase = "SASL"
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self.engine: Any = None
        self._thread = threading.Thread(target=self._run, name=f"aspyx-amqp-io-{self.where}", daemon=True)

    def start(self) -> None:
        """Begin to speak AMQP."""
        self._thread.start()

    def __repr__(self) -> str:
        state = "ended" if self.ended.done() else "open" if self.opened.done() else self.phase
        return f"<Connection {self.where} {state}>"

    @property
    def phase(self) -> str:
        """The step of connecting that it is in."""
        return self._phase

    # -- any thread ------------------------------------------------------------------------------------------------

    def post(self, command: Callable[[], None]) -> bool:
        """Run a command on the I/O thread. False when the connection has ended and nothing will run."""
        if self.ended.done():
            return False
        self._commands.append(command)
        self.wake()
        return not self.ended.done()

    def settle(self, receiver: Any, token: int, accept: bool) -> None:
        """Settle a delivery. Nothing happens when the connection has ended."""
        self._settlements.append((receiver, token, accept))
        self.wake()

    def wake(self) -> None:
        """Have the I/O thread look for work. Cheap while it is awake."""
        if self._woken:
            return
        self._woken = True
        try:
            self._wake_out.send(b"\0")
        except OSError:  # full: it will wake; closed: it has ended
            return

    def close(self) -> None:
        """Flush what was posted, then close in good order."""
        self.post(self._say_goodbye)

    def abort(self, error: ProviderError) -> None:
        """End at once."""
        if self._failure is None:
            self._failure = error
        self.wake()

    def join(self, timeout: float | None) -> bool:
        """Wait for the end of the I/O thread."""
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    # -- the I/O thread --------------------------------------------------------------------------------------------

    def connection_opened(self, properties: dict[str, Any]) -> None:
        """The broker's open frame."""
        resolve(self.opened, properties)

    def connection_ended(self, phase: str, condition: Condition | None) -> None:
        """The engine has nothing more to say."""
        self._finished = True
        if self._failure is None and not self._closing:
            self._failure = connection_error(self.where, phase, condition)

    def _say_goodbye(self) -> None:
        self._closing = True
        if self.engine is not None:
            self.engine.close()

    def _run(self) -> None:
        try:
            self.engine = Engine(self._settings, self._host, container=self._container, owner=self)
            with selectors.DefaultSelector() as selector:
                self._loop(selector)
        except OSError as error:
            self._failure = self._failure or ProviderUnavailable(
                f"the connection to {self.where} is lost in the phase {self._phase!r}: {error.strerror or error}"
            )
        except Exception as error:
            # Whatever it was, it must end in a reconnect: a dead I/O thread would look like a quiet broker.
            logger.exception("the I/O thread of %s failed; it is started anew", self.where)
            self._failure = ProviderUnavailable(f"internal error on the connection to {self.where}: {error!r}")
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self.alive = False
        error = self._failure or ProviderUnavailable(f"the connection to {self.where} was closed")
        while self._confirmed:  # before others hear of the end, and write again what is not confirmed
            self._last_act(lambda _error: self._answer(), error)
        for step in self.on_end[:]:
            self._last_act(step, error)
        self._last_act(self._free, error)
        for sock in (self._sock, self._wake_in, self._wake_out):
            sock.close()
        fail(self.opened, error)
        resolve(self.ended, error)
        self._settlements.clear()
        self._run_commands()  # those who wait for an answer get one: see Receiver and Requester

    def _last_act(self, step: Callable[[ProviderError], None], error: ProviderError) -> None:
        try:
            step(error)
        except Exception:
            logger.exception("letting go of the connection to %s failed", self.where)

    def _free(self, _error: ProviderError) -> None:
        engine, self.engine = self.engine, None
        if engine is not None:
            engine.free()

    def _loop(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._sock, selectors.EVENT_READ)
        selector.register(self._wake_in, selectors.EVENT_READ)
        interest = selectors.EVENT_READ
        while self._failure is None:
            self._work()
            pause = self._tick()  # before writing: it is what makes heartbeats
            wants_write = self._write()
            self._answer()
            if self._finished or self._failure is not None:
                return
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if wants_write else 0)
            if wanted != interest:
                selector.modify(self._sock, wanted)
                interest = wanted
            for key, mask in selector.select(pause):
                if key.fileobj is self._wake_in:
                    self._slept()
                elif mask & selectors.EVENT_READ:
                    self._read()

    def confirm(self, confirmation: Confirmation[None]) -> None:
        """Answer it, on the I/O thread, when all that can be written now is written.

        Whoever is woken takes the interpreter's lock at the next call of the system, and may keep it for 5 ms: a broker
        that has just given credit would wait as long.
        """
        self._confirmed.append(confirmation)

    def _answer(self) -> None:
        while self._confirmed:
            resolve(self._confirmed.popleft())

    def _tick(self) -> float:
        now = time.monotonic()
        due = self.engine.tick(now)
        return min(_LONGEST_PAUSE, max(0.0, due - now)) if due else _LONGEST_PAUSE

    def _slept(self) -> None:
        try:
            self._wake_in.recv(4096)
        except BlockingIOError:
            return
        finally:
            self._woken = False  # before looking at the work: what is posted after this wakes again

    def _read(self) -> None:
        engine = self.engine
        while True:
            try:
                data = self._sock.recv(_READ)
            except self._blocked:
                return
            if not data:
                engine.end_of_input()
                self._finished = True
                return
            engine.receive(data)
            self._phase = engine.phase
            if len(data) < _READ and not self._buffered():
                return

    def _buffered(self) -> int:
        # What TLS has decrypted and nobody has read does not make the socket readable.
        return self._sock.pending() if self._settings.secure else 0

    def _work(self) -> None:
        self.settle_all()
        self._run_commands()
        if self.on_wake is not None:
            self.on_wake()
        self.engine.pump()

    def settle_all(self) -> None:
        """Settle what was asked for up to now. On the I/O thread."""
        settlements = self._settlements
        touched: set[Any] = set()
        while settlements:
            receiver, token, accept = settlements.popleft()
            receiver.settled(token, accept)
            touched.add(receiver)
        for receiver in touched:
            receiver.top_up()

    def _run_commands(self) -> None:
        while self._commands:
            command = self._commands.popleft()
            try:
                command()
            except Exception:
                logger.exception("a command on the I/O thread of %s failed", self.where)

    def _write(self) -> bool:
        """Write what can be written; whether there is more than the socket takes."""
        engine = self.engine
        while True:
            data = engine.output()
            if data is None:
                engine.pump()
                self._finished = True
                return False
            if not data:
                engine.pump()
                return False
            try:
                count = self._sock.send(data)
            except self._blocked:
                engine.blocked()
                return True
            engine.sent(count)

"""A TCP proxy for fault tests: put it between a client and its server, then cut, stall, delay or truncate what passes.

::

    with TcpProxy("127.0.0.1", 61616) as proxy:
        client.connect("127.0.0.1", proxy.port)
        proxy.cut(refuse=True)      # every connection is reset, new ones are refused
        proxy.heal()                # all faults are over
"""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Callable, Optional

from aspyx_event.testing.relay import DIRECTIONS, Direction, Faults, Pair

HOST = "127.0.0.1"
_COMMAND_TIMEOUT = 10.0
_RESET = struct.pack("ii", 1, 0)


class TcpProxy:
    """Forwards 127.0.0.1:``port`` to ``target_host:target_port``, until it is told not to.

    A context manager, serving from its construction on. All methods are thread-safe; a command has taken effect when it
    returns, for the connections there are and for those to come. Directions: ``up`` is from the client to the target,
    ``down`` back.

    listen_port: 0 takes a free one, see ``port``.
    """

    def __init__(self, target_host: str, target_port: int, *, listen_port: int = 0) -> None:
        self._target = (target_host, target_port)
        self._faults = Faults()
        self._pairs: dict[int, Pair] = {}
        self._numbers = itertools.count()
        self._commands: deque[tuple[Callable[[], object], Future[None]]] = deque()
        self._changed = threading.Condition()
        self._accepted = 0
        self._bytes = dict.fromkeys(DIRECTIONS, 0)
        self._closing = False
        self._listener = _bound(listen_port)
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self._wake_in, self._wake_out = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name=f"aspyx-proxy-{self.port}", daemon=True)
        self._thread.start()

    # -- faults

    def cut(self, *, refuse: bool = False) -> None:
        """Reset every connection. ``refuse``: and refuse new ones until ``heal``."""
        self._do(lambda: self._cut(refuse))

    def stall(self, direction: Optional[Direction] = None, *, after_bytes: int = 0) -> None:
        """Take bytes (up to 4 MiB a connection) and forward none of them until ``heal``; None: in both directions.

        after_bytes: forward exactly so many further bytes before, all connections together, each direction by itself.
        """
        self._do(lambda: self._stall([direction] if direction else DIRECTIONS, after_bytes))

    def stall_once(self, direction: Direction, passed: bytes) -> None:
        """``stall`` a direction as soon as these bytes were forwarded in the other one, over any connection.

        ``stall_once("down", b"order-4711")`` holds back what the target answers to the request that contains them.
        See ``wait_for_stall``.
        """
        self._do(lambda: self._faults.held_once.update({direction: passed}))

    def deaf(self) -> None:
        """Accept connections, and neither read from them nor connect them to the target, until ``heal``."""
        self._do(lambda: setattr(self._faults, "deaf", True))

    def delay(self, seconds: float) -> None:
        """Forward everything that arrives from now on ``seconds`` late, until ``heal``."""
        self._do(lambda: setattr(self._faults, "delay", seconds))

    def truncate(self, direction: Direction, after_bytes: int) -> None:
        """Forward exactly ``after_bytes`` further bytes in a direction, then close every connection. Once."""
        self._do(lambda: self._truncate(direction, after_bytes))

    def heal(self) -> None:
        """All faults are over. What was stalled is forwarded now."""
        self._do(self._heal)

    # -- what happened

    @property
    def connections(self) -> int:
        """How many connections were accepted since the beginning."""
        with self._changed:
            return self._accepted

    @property
    def open_connections(self) -> int:
        """How many connections there are now."""
        with self._changed:
            return len(self._pairs)

    def bytes_forwarded(self, direction: Direction) -> int:
        """How many bytes were handed on in a direction since the beginning."""
        with self._changed:
            return self._bytes[direction]

    def wait_for_connections(self, count: int, timeout: float = 10) -> bool:
        """Wait until ``count`` connections were accepted since the beginning; False after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._accepted >= count, timeout)

    def wait_for_bytes(self, direction: Direction, count: int, timeout: float = 10) -> bool:
        """Wait until ``count`` bytes were forwarded since the beginning; False when ``timeout`` seconds are over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._bytes[direction] >= count, timeout)

    def wait_for_stall(self, direction: Direction, timeout: float = 10) -> bool:
        """Wait until a direction is stalled; False when ``timeout`` seconds are over."""
        with self._changed:
            return self._changed.wait_for(lambda: direction in self._faults.stalled, timeout)

    # -- its end

    def close(self) -> None:
        """Reset every connection and end the thread. Idempotent."""
        with self._changed:
            self._closing = True
        self._wake()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        host, port = self._target
        state = "closed" if self._closing else f"{self._faults} open={self.open_connections}"
        return f"<TcpProxy {HOST}:{self.port} -> {host}:{port} {state}>"

    # -- the thread

    def _do(self, command: Callable[[], object]) -> None:
        done: Future[None] = Future()
        with self._changed:
            if self._closing:
                raise RuntimeError("the proxy is closed")
            self._commands.append((command, done))
        self._wake()
        done.result(_COMMAND_TIMEOUT)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_in.send(b"!")

    def _run(self) -> None:
        try:
            while not self._closing:
                self._tend()
                for key, _ in self._selector.select(self._pause()):
                    if key.fileobj is self._wake_out:
                        self._wake_out.recv(4096)
                    elif key.fileobj is self._listener:
                        self._accept()
                self._obey()
                self._shovel()
        finally:
            self._shut()

    def _obey(self) -> None:
        while self._commands:
            command, done = self._commands.popleft()
            try:
                command()
            except Exception as error:  # noqa: BLE001 - it is the caller's, who waits for it
                done.set_exception(error)
            else:
                done.set_result(None)

    def _tend(self) -> None:
        """Tell the selector what each socket is waited for now."""
        now = time.monotonic()
        for pair in list(self._pairs.values()):
            if not pair.dialled and not self._faults.deaf:
                pair.dial(self._target)
            for sock, events in pair.interest(self._faults, now):
                known = self._selector.get_map().get(sock)
                if known is None and events:
                    self._selector.register(sock, events)
                elif known is not None and not events:
                    self._selector.unregister(sock)
                elif known is not None and known.events != events:
                    self._selector.modify(sock, events)

    def _pause(self) -> float | None:
        """Seconds until something delayed is due; None: nothing is."""
        dues = [due for pair in self._pairs.values() for due in pair.dues(self._faults)]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            client, _ = self._listener.accept()
            with self._changed:
                self._pairs[next(self._numbers)] = Pair(client)
                self._accepted += 1
                self._changed.notify_all()

    def _shovel(self) -> None:
        for number, pair in list(self._pairs.items()):
            if number not in self._pairs:
                continue  # a truncation cut them all
            alive = pair.shovel(self._faults)
            self._count(pair.forwarded())
            if self._faults.spent():
                self._drop_all(reset=False)
            elif not alive:
                self._drop([number], reset=pair.broken)

    def _count(self, forwarded: dict[Direction, int]) -> None:
        if any(forwarded.values()):
            with self._changed:
                for direction, count in forwarded.items():
                    self._bytes[direction] += count
                self._changed.notify_all()

    # -- commands, run by the thread

    def _cut(self, refuse: bool) -> None:
        if refuse and not self._faults.refusing:
            self._faults.refusing = True
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = _bound(self.port)  # bound, so that nobody takes the port; not listening, so it refuses
        elif not refuse:
            self._drain_backlog()
        self._drop_all(reset=True)

    def _drain_backlog(self) -> None:
        """What has connected by now is cut, accepted or not."""
        while not self._faults.refusing:
            before = self._accepted
            self._accept()
            if self._accepted == before:
                return

    def _stall(self, directions: Iterable[Direction], after_bytes: int) -> None:
        for direction in directions:
            self._faults.stall(direction, after_bytes)

    def _truncate(self, direction: Direction, after_bytes: int) -> None:
        if after_bytes > 0:
            self._faults.budget[direction] = after_bytes
        else:
            self._drop_all(reset=False)

    def _heal(self) -> None:
        if self._faults.refusing:
            self._listener.listen()
            self._selector.register(self._listener, selectors.EVENT_READ)
        self._faults.clear()

    def _drop_all(self, *, reset: bool) -> None:
        self._drop(list(self._pairs), reset=reset)

    def _drop(self, numbers: Iterable[int], *, reset: bool) -> None:
        for number in numbers:
            with self._changed:
                pair = self._pairs.pop(number)
                self._changed.notify_all()
            for sock in pair.sockets():
                with contextlib.suppress(KeyError):
                    self._selector.unregister(sock)
                with contextlib.suppress(OSError):
                    if reset:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                sock.close()

    def _shut(self) -> None:
        with self._changed:
            self._closing = True
        self._drop_all(reset=True)
        self._selector.close()
        for sock in (self._listener, self._wake_in, self._wake_out):
            sock.close()
        for _, done in self._commands:
            done.set_exception(RuntimeError("the proxy was closed"))


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except OSError:
        sock.close()
        raise
    return sock

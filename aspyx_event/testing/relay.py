"""The bytes of a TcpProxy: one pair of sockets for each connection, and the faults that hold for all of them.

Used by the proxy's thread only.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Optional

Direction = Literal["up", "down"]
DIRECTIONS: tuple[Direction, ...] = ("up", "down")

BUFFER = 4 * 1024 * 1024
_PIECE = 64 * 1024
_IN_PROGRESS = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)
_END = b""


@dataclass
class Faults:
    """What is wrong at the moment.

    budget: bytes that may still pass before every connection is closed. held_after: before a direction stalls.
    held_once: what has to pass in the other direction before a direction stalls.
    """

    refusing: bool = False
    deaf: bool = False
    delay: float = 0.0
    stalled: set[Direction] = field(default_factory=set)
    budget: dict[Direction, int] = field(default_factory=dict)
    held_after: dict[Direction, int] = field(default_factory=dict)
    held_once: dict[Direction, bytes] = field(default_factory=dict)

    def clear(self) -> None:
        """Nothing is wrong any more."""
        self.refusing = self.deaf = False
        self.delay = 0.0
        self.stalled.clear()
        self.budget.clear()
        self.held_after.clear()
        self.held_once.clear()

    def stall(self, direction: Direction, after_bytes: int) -> None:
        """Let so many bytes pass in a direction, and then none."""
        if after_bytes > 0:
            self.held_after[direction] = after_bytes
        else:
            self.stalled.add(direction)

    def allowance(self, direction: Direction) -> int | None:
        """How many bytes may pass now in a direction, None: any number."""
        limits = [limit[direction] for limit in (self.budget, self.held_after) if direction in limit]
        return min(limits) if limits else None

    def awaited(self, direction: Direction) -> list[tuple[Direction, bytes]]:
        """What is waited for in a direction, and which one stalls then."""
        return [(held, data) for held, data in self.held_once.items() if held != direction]

    def passed(self, direction: Direction, count: int) -> None:
        """So many bytes have passed."""
        if direction in self.budget:
            self.budget[direction] -= count
        if direction in self.held_after:
            self.stall(direction, self.held_after.pop(direction) - count)

    def spent(self) -> bool:
        """Whether a budget is used up; asking for it ends it."""
        over: list[Direction] = [direction for direction in DIRECTIONS if self.budget.get(direction, 1) <= 0]
        for direction in over:
            del self.budget[direction]
        return bool(over)

    def __str__(self) -> str:
        words = [word for word, true in (("refusing", self.refusing), ("deaf", self.deaf)) if true]
        words += [f"stalled-{direction}" for direction in sorted(self.stalled)]
        words += [f"delay={self.delay}"] if self.delay else []
        words += [f"stall-{direction}-after={left}" for direction, left in self.held_after.items()]
        words += [f"stall-{direction}-once" for direction in self.held_once]
        words += [f"truncate-{direction}={left}" for direction, left in self.budget.items()]
        return " ".join(words) or "forwarding"


class Flow:
    """One direction of a connection: what was read and is not forwarded yet. An empty piece stands for the end."""

    def __init__(self, direction: Direction) -> None:
        self.direction: Direction = direction
        self.pieces: deque[tuple[float, bytes]] = deque()
        self.size = 0
        self.ended = False
        self.done = False
        self._fresh = 0
        self._tail = b""

    def wants(self) -> bool:
        """Whether more may be read."""
        return not self.ended and self.size < BUFFER

    def due(self, faults: Faults) -> float | None:
        """When its first piece is to be forwarded, None: not before something changes."""
        return self.pieces[0][0] if self.pieces and self.direction not in faults.stalled else None

    def read(self, source: socket.socket, faults: Faults) -> None:
        """Take what has arrived. Raises OSError."""
        while self.wants():
            try:
                piece = source.recv(_PIECE)
            except (BlockingIOError, InterruptedError):
                return
            self.pieces.append((time.monotonic() + faults.delay, piece))
            self.size += len(piece)
            self.ended = piece == _END

    def forwarded(self) -> int:
        """How many bytes were forwarded since the last question."""
        fresh, self._fresh = self._fresh, 0
        return fresh

    def write(self, sink: socket.socket, faults: Faults) -> None:
        """Forward what is due, at most the budget. Raises OSError."""
        while True:
            due = self.due(faults)
            allowed = faults.allowance(self.direction)
            if due is None or due > time.monotonic() or allowed == 0:
                return
            piece = self.pieces.popleft()[1]
            if piece == _END:
                self.done = True
                sink.shutdown(socket.SHUT_WR)
                continue
            try:
                sent = sink.send(piece[:allowed])
            except (BlockingIOError, InterruptedError):
                sent = 0
            self._fresh += sent
            self.size -= sent
            faults.passed(self.direction, sent)
            self._look(piece[:sent], faults)
            if sent < len(piece):
                self.pieces.appendleft((due, piece[sent:]))
            if sent == 0:
                return

    def _look(self, passed: bytes, faults: Faults) -> None:
        """Stall the other direction if what it waits for has passed here, in one piece or several."""
        keep = 0
        for held, data in faults.awaited(self.direction):
            keep = max(keep, len(data) - 1)
            if data in self._tail + passed:
                del faults.held_once[held]
                faults.stalled.add(held)
        self._tail = (self._tail + passed)[-keep:] if keep else b""


class Pair:
    """A client's connection and the one to the target that belongs to it."""

    def __init__(self, client: socket.socket) -> None:
        client.setblocking(False)
        self._client = client
        self._target: Optional[socket.socket] = None
        self._connected = False
        self._up = Flow("up")
        self._down = Flow("down")
        self.broken = False
        """Whether one of its sockets failed: the other side then gets a reset as well."""

    @property
    def dialled(self) -> bool:
        """Whether a connection to the target was begun."""
        return self._target is not None or self.broken

    def sockets(self) -> tuple[socket.socket, ...]:
        """Those that are open."""
        return (self._client,) if self._target is None else (self._client, self._target)

    def dial(self, address: tuple[str, int]) -> None:
        """Begin to connect to the target."""
        try:
            family, kind, protocol, _, resolved = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
            self._target = socket.socket(family, kind, protocol)
            self._target.setblocking(False)
            self.broken = self._target.connect_ex(resolved) not in _IN_PROGRESS
        except OSError:
            self.broken = True

    def interest(self, faults: Faults, now: float) -> Iterator[tuple[socket.socket, int]]:
        """What the selector has to wait for at each socket; 0 for nothing."""
        if self.broken:  # both sides look writable at once, and so the pair is dropped
            yield self._client, selectors.EVENT_READ | selectors.EVENT_WRITE
            return
        yield self._client, self._events(self._up, self._down, faults, now)
        if self._target is not None:
            connecting = not self._connected and not faults.deaf
            yield self._target, selectors.EVENT_WRITE if connecting else self._events(self._down, self._up, faults, now)

    def dues(self, faults: Faults) -> list[float]:
        """When pieces of it are due, as far as they can be forwarded then."""
        if faults.deaf or not self._connected:
            return []
        now = time.monotonic()
        return [due for flow in (self._up, self._down) if (due := flow.due(faults)) is not None and due > now]

    def shovel(self, faults: Faults) -> bool:
        """Read and write what can be; whether the connection goes on."""
        if self.broken or faults.deaf:
            return not self.broken
        try:
            self._check_connected()
            self._up.read(self._client, faults)
            if self._target is not None and self._connected:
                self._down.read(self._target, faults)
                self._up.write(self._target, faults)
                self._down.write(self._client, faults)
        except OSError:
            self.broken = True
        return not self.broken and not (self._up.done and self._down.done)

    def forwarded(self) -> dict[Direction, int]:
        """How many bytes were forwarded since the last question."""
        return {flow.direction: flow.forwarded() for flow in (self._up, self._down)}

    def _check_connected(self) -> None:
        if self._target is None or self._connected:
            return
        error = self._target.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "the target refused the connection")
        try:
            self._target.getpeername()
        except OSError:
            return  # still connecting
        self._connected = True

    @staticmethod
    def _events(inbound: Flow, outbound: Flow, faults: Faults, now: float) -> int:
        if faults.deaf:
            return 0
        due = outbound.due(faults)
        reading = selectors.EVENT_READ if inbound.wants() else 0
        return reading | (selectors.EVENT_WRITE if due is not None and due <= now else 0)

"""Sockets: resolve a name and connect, within a time limit, with errors that say which step failed."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
from typing import Any

from aspyx_event.exceptions import ProviderUnavailable
from aspyx_event.timing import Deadline

_POLL = 0.1


def connect(
    host: str, port: int, *, deadline: Deadline, stop: threading.Event, step: str, threads: str
) -> socket.socket:
    """A connected, non-blocking socket. Tries all addresses of the host; gives up early when ``stop`` is set.

    step: what messages call this. threads: how the name of a thread begins. Raises ProviderUnavailable.
    """
    where = f"{host}:{port}"
    last: OSError | None = None
    for family, kind, protocol, _, address in _resolve(host, port, where, deadline, stop, threads):
        try:
            return _connected(socket.socket(family, kind, protocol), address, deadline, stop)
        except socket.timeout as error:
            raise ProviderUnavailable(f"{where}: {step}: no answer in time") from error
        except OSError as error:
            last = error
    raise ProviderUnavailable(f"{where}: {step}: {(last and last.strerror) or last}") from last


def _connected(sock: socket.socket, address: Any, deadline: Deadline, stop: threading.Event) -> socket.socket:
    try:
        sock.setblocking(False)
        code = sock.connect_ex(address)
        if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            with selectors.DefaultSelector() as selector:
                selector.register(sock, selectors.EVENT_WRITE)
                while not selector.select(min(_POLL, deadline.left() or 0)):
                    if deadline.passed or stop.is_set():
                        raise socket.timeout("no answer")
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _resolve(host: str, port: int, where: str, deadline: Deadline, stop: threading.Event, threads: str) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return _look_up(host, port, where, deadline, stop, threads)  # a name, not an address


def _look_up(host: str, port: int, where: str, deadline: Deadline, stop: threading.Event, threads: str) -> list[Any]:
    # getaddrinfo knows no timeout; a name service that hangs must hang neither start() nor stop().
    answer: list[Any] = []
    done = threading.Event()

    def resolve() -> None:
        try:
            answer.append(socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.append(error)
        done.set()

    thread = threading.Thread(target=resolve, name=f"{threads}-resolve-{host}", daemon=True)
    thread.start()
    while not done.wait(min(_POLL, deadline.left() or 0)):
        if deadline.passed or stop.is_set():
            raise ProviderUnavailable(f"{where}: resolve: no answer from the name service in time")
    thread.join()
    found = answer[0]
    if isinstance(found, Exception):
        raise ProviderUnavailable(f"{where}: resolve: {getattr(found, 'strerror', None) or found}") from found
    return list(found)

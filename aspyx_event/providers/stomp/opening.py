"""Sockets: resolve a name, connect, and shake hands, within a time limit, with errors that say which step failed."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import threading
from typing import Any, Optional

from aspyx_event.exceptions import ConfigurationError, ProviderUnavailable
from aspyx_event.providers.stomp.errors import TLSRefused
from aspyx_event.providers.stomp.settings import StompSettings
from aspyx_event.timing import Deadline

_POLL = 0.1


def tls_context(settings: StompSettings) -> ssl.SSLContext:
    """The TLS settings: host name and authority are verified. Raises ConfigurationError that names an unusable file."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ValueError):
        raise ConfigurationError(f"ca_file {settings.ca_file!r} holds no certificates in PEM form") from None
    if settings.cert_file:
        password = settings.key_password or ""
        try:
            context.load_cert_chain(settings.cert_file, settings.key_file, password=lambda: password)
        except (OSError, ValueError):
            raise ConfigurationError(
                f"cert_file {settings.cert_file!r} and key_file {settings.key_file!r} cannot be used: they are PEM "
                "files that belong together, with key_password if the key is encrypted"
            ) from None
    return context


def open_socket(
    host: str, port: int, context: Optional[ssl.SSLContext], *, deadline: Deadline, stop: threading.Event
) -> socket.socket:
    """A connected, non-blocking socket, over TLS if there is a context. Tries all addresses of the host.

    Raises TLSRefused for certificates, ProviderUnavailable for the rest; also when ``stop`` gets set.
    """
    sock = _tcp(host, port, deadline, stop)
    if context is None:
        return sock
    return _tls(sock, context, host, f"{host}:{port}", deadline, stop)


def _tcp(host: str, port: int, deadline: Deadline, stop: threading.Event) -> socket.socket:
    where = f"{host}:{port}"
    last: OSError | None = None
    for family, kind, protocol, _, address in _resolve(host, port, where, deadline, stop):
        try:
            return _connected(socket.socket(family, kind, protocol), address, deadline, stop)
        except socket.timeout as error:
            raise ProviderUnavailable(f"{where}: TCP connect: no answer in time") from error
        except OSError as error:
            last = error
    raise ProviderUnavailable(f"{where}: TCP connect: {(last and last.strerror) or last}") from last


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


def _resolve(host: str, port: int, where: str, deadline: Deadline, stop: threading.Event) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return _look_up(host, port, where, deadline, stop)  # a name, not an address


def _look_up(host: str, port: int, where: str, deadline: Deadline, stop: threading.Event) -> list[Any]:
    # getaddrinfo knows no timeout; a name service that hangs must hang neither start() nor stop().
    answer: list[Any] = []
    done = threading.Event()

    def resolve() -> None:
        try:
            answer.append(socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.append(error)
        done.set()

    thread = threading.Thread(target=resolve, name=f"aspyx-stomp-resolve-{host}", daemon=True)
    thread.start()
    while not done.wait(min(_POLL, deadline.left() or 0)):
        if deadline.passed or stop.is_set():
            raise ProviderUnavailable(f"{where}: resolve: no answer from the name service in time")
    thread.join()
    found = answer[0]
    if isinstance(found, Exception):
        raise ProviderUnavailable(f"{where}: resolve: {getattr(found, 'strerror', None) or found}") from found
    return list(found)


def _tls(
    sock: socket.socket, context: ssl.SSLContext, host: str, where: str, deadline: Deadline, stop: threading.Event
) -> ssl.SSLSocket:
    secure: ssl.SSLSocket | None = None
    try:
        secure = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        _shake_hands(secure, where, deadline, stop)
    except ssl.SSLCertVerificationError as error:
        (secure or sock).close()
        raise TLSRefused(
            f"{where}: TLS handshake failed: certificate verify failed: {error.verify_message}; check that ca_file "
            "holds the authority that signed the broker's certificate, and that the host is called as it says"
        ) from error
    except OSError as error:
        (secure or sock).close()
        reason = getattr(error, "reason", None) or error.strerror or error
        raise ProviderUnavailable(f"{where}: TLS handshake failed: {reason}") from error
    except BaseException:
        (secure or sock).close()
        raise
    return secure


def _shake_hands(secure: ssl.SSLSocket, where: str, deadline: Deadline, stop: threading.Event) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(secure, selectors.EVENT_READ)
        while True:
            try:
                secure.do_handshake()
                return
            except ssl.SSLWantReadError:
                selector.modify(secure, selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                selector.modify(secure, selectors.EVENT_WRITE)
            if deadline.passed or stop.is_set():
                raise ProviderUnavailable(f"{where}: TLS handshake: no answer in time")
            selector.select(min(_POLL, deadline.left() or 0))

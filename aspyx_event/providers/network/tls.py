"""TLS by Python's own ssl module, which takes more than a megabyte: imported when a connection needs it."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import TYPE_CHECKING

from aspyx_event.exceptions import ConfigurationError, ProviderUnavailable
from aspyx_event.providers.network.settings import NetworkSettings
from aspyx_event.timing import Deadline

if TYPE_CHECKING:
    import ssl

_POLL = 0.1


class TLSRefused(ProviderUnavailable):
    """Certificates that do not fit. Trying again does not help."""


def tls_context(settings: NetworkSettings) -> ssl.SSLContext:
    """The TLS settings: host name and authority are verified. Raises ConfigurationError that names an unusable file."""
    import ssl

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


def handshake(
    sock: socket.socket, context: ssl.SSLContext, host: str, where: str, *, deadline: Deadline, stop: threading.Event
) -> ssl.SSLSocket:
    """Wrap a connected, non-blocking socket. Raises TLSRefused for certificates, ProviderUnavailable for the rest."""
    import ssl

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


def would_block() -> tuple[type[OSError], ...]:
    """What a socket with TLS raises besides BlockingIOError."""
    import ssl

    return ssl.SSLWantReadError, ssl.SSLWantWriteError


def _shake_hands(secure: ssl.SSLSocket, where: str, deadline: Deadline, stop: threading.Event) -> None:
    import ssl

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

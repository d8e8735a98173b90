"""TLS by Python's own ssl module, below the engine.

proton.SSL would do it inside the engine, but it compares host names only: a certificate for an IP address never fits
(measured with 0.40), its errors do not say what is wrong, and a proton built without OpenSSL headers has none at all.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading

from aspyx_event.exceptions import ConfigurationError, ProviderUnavailable
from aspyx_event.providers.amqp.errors import TLSRefused
from aspyx_event.providers.amqp.settings import AMQPSettings
from aspyx_event.timing import Deadline

BLOCKED = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_POLL = 0.1


def tls_context(settings: AMQPSettings) -> ssl.SSLContext:
    """The TLS settings. Raises ConfigurationError that names the file that cannot be used."""
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
    secure: ssl.SSLSocket | None = None
    try:
        secure = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        _shake_hands(secure, where, deadline, stop)
    except ssl.SSLCertVerificationError as error:
        _close(sock, secure)
        raise TLSRefused(
            f"{where}: TLS handshake failed: certificate verify failed: {error.verify_message}; check that ca_file "
            "holds the authority that signed the broker's certificate, and that the host is called as it says"
        ) from error
    except OSError as error:
        _close(sock, secure)
        reason = getattr(error, "reason", None) or error.strerror or error
        raise ProviderUnavailable(f"{where}: TLS handshake failed: {reason}") from error
    except BaseException:
        _close(sock, secure)
        raise
    return secure


def _close(sock: socket.socket, secure: ssl.SSLSocket | None) -> None:
    (secure or sock).close()


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

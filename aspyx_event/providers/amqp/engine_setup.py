"""How a connection and its links are set up, in proton's terms."""

from __future__ import annotations

from typing import Any

import proton

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.amqp.nodes import Condition, Node
from aspyx_event.providers.amqp.settings import AMQPSettings

_SELECTOR = "apache.org:selector-filter:string"


def tls_domain(settings: AMQPSettings) -> Any:
    """The TLS settings as proton wants them; ConfigurationError names the file that cannot be used."""
    if not proton.SSL.present():
        raise ConfigurationError(
            "this python-qpid-proton was built without TLS: install pkg-config and the OpenSSL headers, then run "
            "pip install --force-reinstall --no-cache-dir --no-binary :all: python-qpid-proton"
        )
    domain = proton.SSLDomain(proton.SSLDomain.MODE_CLIENT)
    try:
        if settings.cert_file:
            domain.set_credentials(settings.cert_file, settings.key_file or settings.cert_file, settings.key_password)
    except proton.SSLException:
        raise ConfigurationError(
            f"cert_file {settings.cert_file!r} and key_file {settings.key_file!r} cannot be used: they are PEM files that "
            "belong together, with key_password if the key is encrypted"
        ) from None
    try:
        if settings.ca_file:
            domain.set_trusted_ca_db(settings.ca_file)
        domain.set_peer_authentication(proton.SSLDomain.VERIFY_PEER_NAME)
    except proton.SSLException:
        raise ConfigurationError(f"ca_file {settings.ca_file!r} holds no certificates in PEM form") from None
    return domain


def bind(
    connection: Any, settings: AMQPSettings, host: str, *, container: str, domain: Any
) -> tuple[Any, Any]:
    """Open a connection locally; answers its transport and SASL layer."""
    connection.container = container
    connection.hostname = settings.virtual_host or host
    transport: Any = proton.Transport()
    sasl = transport.sasl()
    sasl.allowed_mechs(settings.mechanism)
    sasl.allow_insecure_mechs = True  # PLAIN without TLS is what amqp:// with a password asks for
    if settings.user:
        connection.user = settings.user
        connection.password = settings.password
    if domain is not None:
        transport.ssl(domain).peer_hostname = host
    transport.max_frame_size = settings.max_frame_size
    transport.idle_timeout = settings.heartbeat * 2  # proton asks the peer for half of it
    transport.bind(connection)
    connection.open()
    return transport, sasl


def fill(terminus: Any, node: Node) -> None:
    """Describe a node in a link's source or target."""
    if node.dynamic:
        terminus.dynamic = True
    else:
        terminus.address = node.address
    if node.copy:
        terminus.distribution_mode = proton.Terminus.DIST_MODE_COPY
    for capability in node.capabilities:
        terminus.capabilities.put_object(proton.symbol(capability))
    if node.selector is not None:
        name = proton.symbol("selector")
        terminus.filter.put_object({name: proton.Described(proton.symbol(_SELECTOR), node.selector)})


def condition_of(condition: Any) -> Condition | None:
    """A condition as plain text."""
    return None if condition is None else Condition(str(condition.name), str(condition.description or ""))

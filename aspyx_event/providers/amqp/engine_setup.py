"""How a connection and its links are set up, in proton's terms."""

from __future__ import annotations

from typing import Any

import cproton as c
import proton

from aspyx_event.providers.amqp.nodes import Condition, Node, State
from aspyx_event.providers.amqp.settings import AMQPSettings

STATES = {
    c.PN_ACCEPTED: State.ACCEPTED,
    c.PN_REJECTED: State.REJECTED,
    c.PN_RELEASED: State.RELEASED,
    c.PN_MODIFIED: State.MODIFIED,
}
_SELECTOR = "apache.org:selector-filter:string"


def bind(connection: Any, settings: AMQPSettings, host: str, *, container: str) -> tuple[Any, Any]:
    """Open a connection locally; answers its transport and SASL layer."""
    connection.container = container
    connection.hostname = settings.virtual_host or host
    transport: Any = proton.Transport()
    sasl = transport.sasl()
    sasl.allowed_mechs(settings.mechanism)
    sasl.allow_insecure_mechs = True  # proton does not see the TLS below it
    if settings.user:
        connection.user = settings.user
        connection.password = settings.password
    transport.max_frame_size = settings.max_frame_size
    transport.idle_timeout = settings.heartbeat * 2  # proton asks the peer for half of it
    transport.bind(connection)
    connection.open()
    return transport, sasl


def set_up(link: Any, node: Node, *, outgoing: bool) -> None:
    """Describe a node at its end of a link, or at both."""
    _fill(link.target if outgoing else link.source, node)
    if node.paired:
        _fill(link.source if outgoing else link.target, node)
        link.properties = {proton.symbol("paired"): True}
    link.snd_settle_mode = proton.Link.SND_SETTLED if node.paired else proton.Link.SND_UNSETTLED
    if not outgoing:
        link.rcv_settle_mode = proton.Link.RCV_FIRST


def _fill(terminus: Any, node: Node) -> None:
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

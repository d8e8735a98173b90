"""The one place that runs proton's engine: protocol state of one connection, without sockets, threads or decoding.

Everything here belongs to the connection's I/O thread, objects included: proton counts references without a lock, so
even dropping the last reference elsewhere is a data race. What leaves are tokens (int) and bytes.

Links and terminuses are set up through proton's classes. Deliveries, settlements and credit go straight to the C
functions: the wrapper objects around them cost more than everything else together.
"""

from __future__ import annotations

import itertools
from typing import Any, Optional

import cproton as c
import proton

from aspyx_event.providers.amqp.engine_setup import STATES, bind, condition_of, set_up
from aspyx_event.providers.amqp.links import ConnectionOwner, Link, LinkOwner
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome, State
from aspyx_event.providers.amqp.sessions import Sessions
from aspyx_event.providers.amqp.settings import AMQPSettings

_NULL = c.ffi.NULL
_Delivery: Any = proton.Delivery
_Session: Any = proton.Session


class Engine:
    """Bytes in, bytes out, and calls to the owners in between. One per connection attempt."""

    def __init__(self, settings: AMQPSettings, host: str, *, container: str, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._links: dict[int, Link] = {}
        self._tokens = itertools.count(1)
        self._names = itertools.count(1)
        self._touched: dict[int, Link] = {}
        self._ended = False
        self._failed = False
        self._opened = False
        self._reason: Condition | None = None
        self._connection: Any = proton.Connection()
        self._collector: Any = proton.Collector()
        self._connection.collect(self._collector)
        self._transport: Any
        self._sasl: Any
        self._transport, self._sasl = bind(self._connection, settings, host, container=container)
        self._sessions = Sessions(self._connection)
        self._handlers = {
            c.PN_CONNECTION_REMOTE_OPEN: self._remote_open,
            c.PN_CONNECTION_REMOTE_CLOSE: self._remote_close,
            c.PN_SESSION_REMOTE_CLOSE: self._session_closed,
            c.PN_LINK_REMOTE_OPEN: self._link_opened,
            c.PN_LINK_REMOTE_CLOSE: self._link_closed,
            c.PN_LINK_REMOTE_DETACH: self._link_closed,
            c.PN_LINK_FLOW: self._link_flow,
            c.PN_TRANSPORT_ERROR: self._transport_error,
            c.PN_TRANSPORT_CLOSED: self._transport_closed,
        }

    # -- bytes -----------------------------------------------------------------------------------------------------

    @property
    def phase(self) -> str:
        """What the connection is waiting for."""
        if self._opened:
            return "open"
        if self._sasl.outcome != proton.SASL.OK:
            return "SASL"
        return "AMQP open"

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer and tell the owners what they mean."""
        view = memoryview(data)
        transport = self._transport
        while view:
            capacity = transport.capacity()
            if capacity <= 0:
                break
            transport.push(view[:capacity])
            view = view[capacity:]
            self._pump()
        self.pump()

    def end_of_input(self) -> None:
        """The peer's side of the socket is closed."""
        if not self._ended:
            self._transport.close_tail()
            self.pump()

    def output(self) -> Any:
        """Bytes to be sent; empty when there are none now, None when there will be none any more."""
        pending = self._transport.pending()
        if pending < 0:
            return None
        return self._transport.peek(pending) if pending else b""

    def sent(self, count: int) -> None:
        """So many bytes of the output were written."""
        self._transport.pop(count)

    def tick(self, now: float) -> float:
        """Do what is due; answers when to call again (monotonic seconds), 0 for not at all."""
        self._sessions.tidy()
        due: float = self._transport.tick(now)
        return due

    def close(self) -> None:
        """Say goodbye; connection_ended follows when the peer has answered."""
        self._connection.close()

    def blocked(self) -> None:
        """The socket takes nothing now. Last words of a transport that has failed are not waited for: a peer that has
        gone silent never reads them."""
        self.pump()
        if self._failed:
            self._transport_closed()

    def free(self) -> None:
        """Drop everything of proton, on the thread that used it."""
        for link in list(self._links.values()):
            self._forget(link)
        self._sessions.free()
        self._sasl = None
        self._handlers = {}
        self._transport.unbind()
        self._collector.release()
        self._connection = self._transport = self._collector = None

    # -- links -----------------------------------------------------------------------------------------------------

    def sender(self, node: Node, owner: LinkOwner, *, own_session: bool = False) -> Link:
        """Attach a sending link."""
        return self._attach(node, owner, own_session, outgoing=True)

    def receiver(self, node: Node, owner: LinkOwner, *, own_session: bool = False) -> Link:
        """Attach a receiving link, without credit."""
        return self._attach(node, owner, own_session, outgoing=False)

    def _attach(self, node: Node, owner: LinkOwner, own: bool, *, outgoing: bool) -> Link:
        links, allowed = self._links.values(), self._transport.remote_channel_max
        session, own = self._sessions.for_link(own, outgoing=outgoing, links=links, allowed=allowed)
        wrapper = (session.sender if outgoing else session.receiver)(self._link_name(node))
        set_up(wrapper, node, outgoing=outgoing)
        link = Link(wrapper._impl, wrapper, owner, session, own, outgoing, {}, {}, [])
        self._links[c.addressof(link.impl)] = link
        wrapper.open()
        return link

    def _link_name(self, node: Node) -> str:
        number = "pair" if node.paired else next(self._names)
        return f"{node.address or 'dynamic'}-{self._connection.container}-{number}"

    def remote_address(self, link: Link) -> str | None:
        """The address that the broker gave a dynamic source."""
        address: str | None = link.wrapper.remote_source.address
        return address

    def detach(self, link: Link) -> None:
        """Close a link; its owner hears nothing more. What it received and nobody settled goes back to the queue."""
        if link.impl is None:
            return
        link.wrapper.close()
        if link.own_session:
            self._sessions.unused(link.session)
        self._forget(link)

    def _forget(self, link: Link) -> None:
        # The owner, and so some worker, may keep the Link for long: nothing of proton may hang on it any more.
        self._links.pop(c.addressof(link.impl), None)
        self._touched.pop(id(link), None)
        link.deliveries.clear()
        link.tokens.clear()
        link.batch = []
        link.open = False
        link.wrapper = link.impl = link.session = None

    # -- messages --------------------------------------------------------------------------------------------------

    def credit(self, link: Link) -> int:
        """How many more messages may go over this link."""
        credit: int = c.pn_link_credit(link.impl)
        return credit

    def send(self, link: Link, data: bytes) -> int:
        """Write one message; only with credit. Answers the token that link_outcome will name."""
        token, delivery = self._write(link, data)
        link.tokens[c.addressof(delivery)] = token
        return token

    def send_settled(self, link: Link, data: bytes) -> None:
        """Write one message whose outcome the peer will not tell; only with credit."""
        c.pn_delivery_settle(self._write(link, data)[1])

    def _write(self, link: Link, data: bytes) -> tuple[int, Any]:
        token = next(self._tokens)
        delivery = c.pn_delivery(link.impl, token.to_bytes(8, "big"))
        c.pn_link_send(link.impl, data)
        c.pn_link_advance(link.impl)
        return token, delivery

    def settle(self, link: Link, token: int, *, accept: bool) -> bool:
        """Accept or release a received message. False when it is not there any more."""
        delivery = link.deliveries.pop(token, None)
        if delivery is None:
            return False
        c.pn_delivery_update(delivery, c.PN_ACCEPTED if accept else c.PN_RELEASED)
        c.pn_delivery_settle(delivery)
        return True

    def flow(self, link: Link, count: int) -> None:
        """Grant credit; a negative count takes it back."""
        c.pn_link_flow(link.impl, count)

    def drain(self, link: Link, count: int) -> None:
        """Grant credit that the broker is to use up or return at once; link_credit tells when it has."""
        c.pn_link_drain(link.impl, count)

    def draining(self, link: Link) -> bool:
        """Whether a drain is under way."""
        return bool(c.pn_link_draining(link.impl))

    # -- events ----------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Handle pending events, then hand over what was received."""
        self._pump()
        touched, self._touched = self._touched, {}
        for link in touched.values():
            self._hand_over(link)

    def _hand_over(self, link: Link) -> None:
        batch, link.batch = link.batch, []
        if batch:
            link.owner.link_received(batch)

    def _pump(self) -> None:
        collector = self._collector._impl
        event = c.pn_collector_peek(collector)
        while event != _NULL:
            kind = c.pn_event_type(event)
            if kind == c.PN_DELIVERY:
                self._delivery(c.pn_event_delivery(event))
            else:
                handler = self._handlers.get(kind)
                if handler is not None:
                    handler(event)
            c.pn_collector_pop(collector)
            event = c.pn_collector_peek(collector)

    def _delivery(self, delivery: Any) -> None:
        link = self._links.get(c.addressof(c.pn_delivery_link(delivery)))
        if link is None:
            return
        if link.outgoing:
            self._outgoing(link, delivery)
        elif c.pn_delivery_readable(delivery) and not c.pn_delivery_partial(delivery):
            self._incoming(link, delivery)

    def _incoming(self, link: Link, delivery: Any) -> None:
        size = c.pn_delivery_pending(delivery)
        received, data = c.pn_link_recv(link.impl, size) if size else (0, b"")
        c.pn_link_advance(link.impl)
        if c.pn_delivery_aborted(delivery):
            c.pn_delivery_settle(delivery)
            link.owner.link_credit()
            return
        token = next(self._tokens)
        link.deliveries[token] = delivery
        link.batch.append((token, bytes(data) if received > 0 else b""))
        self._touched[id(link)] = link

    def _outgoing(self, link: Link, delivery: Any) -> None:
        kind = c.pn_delivery_remote_state(delivery)
        state = STATES.get(kind)
        if state is None:
            if not c.pn_delivery_settled(delivery):
                return
            state = State.UNKNOWN
        token = link.tokens.pop(c.addressof(delivery), None)
        condition = condition_of(_Delivery(delivery).remote.condition) if state is State.REJECTED else None
        c.pn_delivery_settle(delivery)
        if token is not None:
            link.owner.link_outcome(token, Outcome(state, condition))

    def _remote_open(self, _event: Any) -> None:
        self._opened = True
        properties = self._connection.remote_properties
        named = properties.items() if isinstance(properties, dict) else ()
        self._owner.connection_opened({str(key): value for key, value in named})

    def _remote_close(self, _event: Any) -> None:
        self._reason = self._reason or condition_of(self._connection.remote_condition)
        self._connection.close()

    def _session_closed(self, event: Any) -> None:
        session = _Session(c.pn_event_session(event))
        condition = condition_of(session.remote_condition)
        self._sessions.ended(session)
        links = [link for link in self._links.values() if link.session == session]
        for link in links:
            self._forget(link)
        for link in links:
            link.owner.link_closed(condition)

    def _of(self, event: Any) -> Optional[Link]:
        return self._links.get(c.addressof(c.pn_event_link(event)))

    def _link_opened(self, event: Any) -> None:
        link = self._of(event)
        if link is None:
            return
        remote = link.wrapper.remote_target if link.outgoing else link.wrapper.remote_source
        if remote.type == proton.Terminus.UNSPECIFIED:
            return  # a refusal: the reason follows with the detach
        link.open = True
        link.owner.link_opened()

    def _link_closed(self, event: Any) -> None:
        link = self._of(event)
        if link is not None:
            condition = condition_of(link.wrapper.remote_condition)
            self.detach(link)
            link.owner.link_closed(condition)
        c.pn_link_free(c.pn_event_link(event))

    def _link_flow(self, event: Any) -> None:
        link = self._of(event)
        if link is not None:
            self._hand_over(link)  # what came before the credit must be known before it
            link.owner.link_credit()

    def _transport_error(self, _event: Any) -> None:
        self._failed = True
        self._reason = self._reason or condition_of(self._transport.condition)

    def _transport_closed(self, _event: Any = None) -> None:
        if not self._ended:
            self._ended = True
            self._owner.connection_ended(self.phase, self._reason)

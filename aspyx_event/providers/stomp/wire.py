"""stomp.py over a socket of our own. The only module that imports stomp.

stomp.py builds and parses the frames. Its transport is replaced below that, because of what was measured with 9.0:

* over TLS it does not notice that the server has closed, and burns a processor instead;
* ``send`` blocks its caller, and with it the heartbeats, while the broker does not read;
* it logs the CONNECT frame with the passcode at DEBUG: here no outgoing frame is logged;
* ``connect`` has no time limit, and the threads have no names.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Callable

from stomp.connect import BaseConnection
from stomp.protocol import Protocol12
from stomp.transport import Transport
from stomp.utils import convert_frame, pack

from aspyx_event.providers.stomp.stream import READ_SIZE, Stream

logger = logging.getLogger(__name__)

OnFrame = Callable[[str, dict[str, str], bytes], None]

_ESCAPES = str.maketrans({"\\": "\\\\", "\r": "\\r", "\n": "\\n", ":": "\\c"})


class _Transport(Transport):  # type: ignore[misc]
    """Hands encoded frames to ``put`` and parsed ones to ``on_frame``; both must neither block nor raise."""

    def __init__(
        self,
        stream: Stream,
        peer: tuple[str, int],
        *,
        put: Callable[[bytes], None],
        on_frame: OnFrame,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(
            [peer], prefer_localhost=False, try_loopback_connect=False, auto_decode=False, recv_bytes=READ_SIZE
        )
        self._stream = stream
        self._peer = peer
        self._put = put
        self._on_frame = on_frame
        self._on_end = on_end

    def attempt_connection(self) -> None:
        """The socket is connected already."""
        self.current_host_and_port = self._peer

    def transmit(self, frame: Any) -> None:
        """Encode in the caller's thread, write in the link's."""
        self._put(pack(convert_frame(frame)))

    def receive(self) -> bytes:
        """Empty ends stomp.py's loop, over TLS too: ``Stream.read`` waits until there is something, or an end."""
        return self._stream.read()

    def process_frame(self, frame: Any, _raw: bytes) -> None:
        """Without stomp.py's listeners: an exception out of one would close the connection."""
        try:
            self._on_frame(frame.cmd, frame.headers, frame.body or b"")
        except Exception:
            logger.exception("a %s frame could not be handled", frame.cmd)

    def notify(self, frame_type: str, _frame: Any = None) -> None:
        """Of what stomp.py tells its listeners, only the end of its loop matters here."""
        if frame_type == "receiver_loop_completed":
            self._on_end()

    def disconnect_socket(self) -> None:
        """Wake the loop; it ends by itself."""
        self.running = False
        self._stream.close()

    def cleanup(self) -> None:
        """Called by the loop when it ends. The descriptor is given back by the link, when its writer is done too."""
        self.running = False
        self._stream.close()


class Wire(BaseConnection, Protocol12):  # type: ignore[misc]
    """A stomp.py connection of protocol 1.2 over ``stream``, with one named daemon thread that reads.

    Heartbeats are the link's business: stomp.py's own thread would block with the socket.
    """

    def __init__(
        self,
        stream: Stream,
        peer: tuple[str, int],
        *,
        name: str,
        put: Callable[[bytes], None],
        on_frame: OnFrame,
        on_end: Callable[[], None],
    ) -> None:
        transport = _Transport(stream, peer, put=put, on_frame=on_frame, on_end=on_end)
        BaseConnection.__init__(self, transport)
        Protocol12.__init__(self, transport, heartbeats=(0, 0), auto_content_length=False)
        transport.remove_listener("protocol-listener")
        self.reader: threading.Thread | None = None
        self._name = name
        transport.override_threading(self._make_thread)

    def _make_thread(self, loop: Callable[[], None]) -> threading.Thread:
        self.reader = threading.Thread(target=loop, name=self._name, daemon=True)
        self.reader.start()
        return self.reader

    def run(self) -> None:
        """Start reading."""
        self.transport.start()

    def frame(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        """Write any frame. Keys are escaped here, values by stomp.py, which leaves keys as they are."""
        self.send_frame(command, {key.translate(_ESCAPES): value for key, value in headers.items()}, body)

"""stomp.py builds and parses the frames, but for the many of a kind (see encoding). The only module that imports stomp.

Its transport is replaced by our own stream, because of what was measured with 9.0 and 8.2:

* two line ends before a frame (heartbeats that piled up) make it swallow the frame: a message nobody sees, which the
  broker takes for delivered;
* over TLS 9.0 does not notice that the server has closed, and burns a processor instead; 8.2 verifies nothing without
  a CA file, and both read and write one TLS session from two threads;
* ``send`` blocks its caller, and with it the heartbeats, while the broker does not read;
* an exception out of a listener closes the connection;
* it logs the CONNECT frame with the passcode at DEBUG: here no frame is logged;
* ``connect`` has no time limit, and the threads have no names.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Callable

from stomp.protocol import Protocol12
from stomp.utils import convert_frame, pack, parse_frame

from aspyx_event.providers.stomp import encoding
from aspyx_event.providers.stomp.frames import Splitter
from aspyx_event.providers.stomp.stream import Stream

logger = logging.getLogger(__name__)

OnFrames = Callable[[list[encoding.Frame]], None]
OnReceipts = Callable[[list[bytes]], None]


class _Transport:
    """What stomp.py's protocol needs of a transport."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._put = put

    def set_listener(self, _name: str, _listener: Any) -> None:
        """Frames go to the wire's own callback; stomp.py's heartbeats, a listener, are off."""

    def transmit(self, frame: Any) -> None:
        """Encode in the caller's thread; it is written in the link's."""
        self._put(pack(convert_frame(frame)))


class Wire(Protocol12):  # type: ignore[misc]
    """STOMP 1.2 over ``stream``, with one named daemon thread that reads. Single use.

    put: takes encoded frames to be written. on_receipts, on_frames, on_end: called in the reading thread, and must not
    block; the frames are those that one read has completed. on_receipts gets the ids of those that begin with receipts
    of SENDs, on_frames all others.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        name: str,
        put: Callable[[bytes], None],
        on_receipts: OnReceipts,
        on_frames: OnFrames,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(_Transport(put), heartbeats=(0, 0), auto_content_length=False)
        self._stream = stream
        self._on_receipts = on_receipts
        self._on_frames = on_frames
        self._on_end = on_end
        self.reader = threading.Thread(target=self._read, name=name, daemon=True)

    def frame(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        """Write any frame. Keys are escaped here, values by stomp.py, which leaves keys as they are."""
        content: Any = body  # stomp.py takes bytes as well as the str it says
        self.send_frame(command, {encoding.escaped(key): value for key, value in headers.items()}, content)

    def _read(self) -> None:
        frames = Splitter()
        try:
            while data := self._stream.read():
                if frames.empty:
                    receipts, data = encoding.receipts(data)
                    if receipts:
                        self._on_receipts(receipts)
                found = [frame for raw in frames.feed(data) if (frame := encoding.read(raw) or _parsed(raw))]
                if found:
                    self._on_frames(found)
        except Exception:
            logger.exception("what the broker sent could not be read")
        finally:
            self._on_end()


def _parsed(raw: bytes) -> encoding.Frame | None:
    frame = parse_frame(raw)
    return None if frame is None else (frame.cmd, frame.headers, frame.body or b"")

"""What comes along when the library is imported, and what only when it is needed."""

from __future__ import annotations

from .support import run_script

_PROGRAM = """
import sys
import threading
from dataclasses import dataclass

from aspyx_event import EventListener, EventManager, EventRegistry, LocalProvider, event, event_listener

handled = threading.Event()

@event()
@dataclass
class Happened:
    number: int

@event_listener(Happened)
class Listener(EventListener[Happened]):
    def on(self, event):
        handled.set()

with EventManager(LocalProvider(), registry=EventRegistry().register(Happened, Listener)) as manager:
    manager.send_event(Happened(1))
    assert handled.wait(30)
print(sorted({"asyncio", "ssl", "tenacity"} & set(sys.modules)))
"""


def test_a_plain_program_has_no_event_loop() -> None:
    """Who has synchronous listeners, dataclasses and no failure loads neither asyncio nor tenacity."""
    assert run_script(_PROGRAM).stdout == "[]\n"

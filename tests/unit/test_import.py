"""What comes along when the library is imported, and what only when it is needed."""

from __future__ import annotations

import pytest

from .support import run_script

_PROGRAM = """
import sys
import threading
from dataclasses import dataclass
from types import ModuleType

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
    assert "asyncio" not in sys.modules
    sys.modules["asyncio"] = ModuleType("asyncio")  # as it is while another thread imports it
    handled.clear()
    manager.send_event(Happened(2))
    assert handled.wait(30)
    del sys.modules["asyncio"]
print(sorted({"asyncio", "ssl", "tenacity"} & set(sys.modules)))
"""


def test_a_plain_program_has_no_event_loop() -> None:
    """Synchronous listeners and no failure load neither asyncio nor tenacity; a half loaded asyncio is no loop."""
    assert run_script(_PROGRAM).stdout == "[]\n"


_AMQP = """
import sys
from aspyx_event import provider_from_url
from aspyx_event.providers.amqp import connection, supervisor
provider_from_url("amqp://localhost")
print("ssl" in sys.modules)
provider_from_url("amqps://localhost")
print("ssl" in sys.modules)
"""


def test_what_is_not_encrypted_needs_no_tls() -> None:
    """AMQP without TLS does not load what TLS takes, which is more than a megabyte."""
    pytest.importorskip("proton")
    assert run_script(_AMQP).stdout == "False\nTrue\n"

"""Names of queues and of this process."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from aspyx_event import ConfigurationError, EventDescriptor, EventListenerDescriptor
from aspyx_event.providers.naming import Naming, split_queue_name
from tests.unit.support import run_script

SHARED = EventListenerDescriptor("billing", EventDescriptor("Placed", int), None)
OWN = EventListenerDescriptor("cache", EventDescriptor("Placed", int), None, per_process=True)


def test_queue_names() -> None:
    """A queue is <event>::<listener>, with the server name for per_process listeners only."""
    naming = Naming("web-1")
    assert naming.queue_name(SHARED) == "Placed::billing"
    assert naming.queue_name(OWN) == "Placed::cache-web-1"
    assert naming.error_queue == "error"


def test_prefix() -> None:
    """A prefix comes before the listener, and before the error queue."""
    naming = Naming("web-1", "shop")
    assert naming.queue_name(SHARED) == "Placed::shop.billing"
    assert naming.queue_name(OWN) == "Placed::shop.cache-web-1"
    assert naming.error_queue == "shop.error"


def test_expansion() -> None:
    """{host} and {pid} are this machine and this process; they are the default."""
    assert Naming().server_name == f"{socket.gethostname()}-{os.getpid()}"
    assert Naming("a.{pid}.{host}").server_name == f"a.{os.getpid()}.{socket.gethostname()}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_after_a_fork() -> None:
    """A name made, and asked for, before a fork is the child's in the child: they must differ per process."""
    result = run_script("""
import os
from aspyx_event.providers.naming import Naming
naming = Naming("web-{pid}")
before = naming.server_name
child = os.fork()
if child == 0:
    print(naming.server_name == f"web-{os.getpid()}" != before, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(naming.server_name == before)
""")
    assert (result.stdout, result.returncode) == ("True\nTrue\n", 0), result.stderr


@pytest.mark.parametrize("name", ["", "  ", None, 3, "a b", "a::b", "web-{port}"])
def test_impossible_server_names(name: Any) -> None:
    """An empty or impossible server name is refused by name."""
    with pytest.raises(ConfigurationError, match="server_name"):
        Naming(name)


def test_impossible_prefix() -> None:
    """An impossible prefix is refused."""
    with pytest.raises(ConfigurationError, match="prefix 'a/b'"):
        Naming("web", "a/b")


def test_split() -> None:
    """A canonical name splits into event and queue; a plain one has no event."""
    assert split_queue_name("Placed::shop.billing") == ("Placed", "shop.billing")
    assert split_queue_name("error") == ("", "error")

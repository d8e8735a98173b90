"""The end of a process, its signals and its forks, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from aspyx_event import LifecycleError, StopResult
from aspyx_event.delivery import process
from tests.unit.delivery.events import Placed, listening
from tests.unit.support import DEADLINE, ROOT, Collected, managed, run_script

SETUP = """
import asyncio, gc, logging, os, sys, threading
from dataclasses import dataclass
from aspyx_event import EventManager, EventRegistry, RetryPolicy, event, event_listener
from aspyx_event.delivery import process

logging.basicConfig(level=logging.WARNING)
process.EXIT_TIMEOUT = 0.3

@event()
@dataclass
class Placed:
    number: int = 0

started = threading.Event()

def ready():
    while not process._waiting:  # run() has its signal handlers
        pass
    print("ready", flush=True)

def manager(listener, **options):
    registry = EventRegistry().register(event_listener(Placed, "listener")(listener))
    return EventManager("local://", registry=registry, retry=RetryPolicy(immediate=0, delayed=()), **options)
"""


def ended(script: str) -> subprocess.CompletedProcess[str]:
    return run_script(SETUP + script)


def test_a_script_without_stop_drains() -> None:
    """A script that ends without stop() lets the running listener finish, and ends with 0."""
    result = ended("""
process.EXIT_TIMEOUT = 20
def on(e):
    started.set()
    threading.Event().wait(0.3)
    print("handled", e.number, flush=True)
m = manager(on)
m.start()
m.send_event(Placed(1))
started.wait()
""")
    assert (result.stdout, result.stderr, result.returncode) == ("handled 1\n", "", 0)


def test_a_manager_that_nobody_holds() -> None:
    """A manager that nobody holds any more works on, and is drained as well."""
    result = ended("""
process.EXIT_TIMEOUT = 20
def on(e):
    started.set()
    threading.Event().wait(0.3)
    print("handled", e.number, flush=True)
def setup():
    m = manager(on)
    m.start()
    m.send_event(Placed(1))
setup()
started.wait()
gc.collect()
""")
    assert (result.stdout, result.stderr, result.returncode) == ("handled 1\n", "", 0)


@pytest.mark.parametrize("stopped", [False, True], ids=["without-stop", "after-stop"])
def test_a_blocked_listener_cannot_keep_the_process(stopped: bool) -> None:
    """A listener that never returns is left behind: the stacks are logged, the code is 70."""
    result = ended(f"""
def blocked(e):
    started.set()
    threading.Event().wait()
m = manager(blocked)
m.start()
m.send_event(Placed())
started.wait()
if {stopped}:
    print(len(m.stop(0.1).abandoned), flush=True)
""")
    assert result.returncode == 70
    assert "in blocked" in result.stderr
    assert "listeners still run; leaving without them" in result.stderr
    assert result.stdout == ("1\n" if stopped else "")


@pytest.mark.parametrize(
    "body",
    [
        "await asyncio.to_thread(threading.Event().wait)",
        "threading.Event().wait()",
    ],
    ids=["in-a-thread", "blocking-the-loop"],
)
def test_a_blocked_coroutine_cannot_keep_the_process(body: str) -> None:
    """Neither can an async listener, whatever it waits in."""
    result = ended(f"""
if not hasattr(asyncio, "to_thread"):
    asyncio.to_thread = lambda f: asyncio.get_running_loop().run_in_executor(None, f)
async def blocked(e):
    started.set()
    {body}
m = manager(blocked)
m.start()
m.send_event(Placed())
started.wait()
""")
    assert result.returncode == 70, result.stderr
    assert "leaving without them" in result.stderr


def test_a_coroutine_that_waits_is_cancelled() -> None:
    """An async listener that merely waits is cancelled, and the process ends by itself."""
    result = ended("""
async def waiting(e):
    started.set()
    await asyncio.Event().wait()
m = manager(waiting)
m.start()
m.send_event(Placed())
started.wait()
""")
    assert result.returncode == 0, result.stderr
    assert "did not finish event" in result.stderr


def signalled(script: str, *numbers: signal.Signals) -> tuple[int, str, str]:
    """Exit code and output of a script that prints 'ready', and then gets signals."""
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SETUP + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        for number in numbers:
            child.send_signal(number)
        out, err = child.communicate(timeout=60)
    return child.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run(number: signal.Signals) -> None:
    """run() starts, waits for SIGTERM or SIGINT, drains, and returns 0."""
    code, out, err = signalled(
        """
def on(e):
    ready()
    threading.Event().wait(0.3)
    print("handled", flush=True)
m = manager(on)
m.start()
m.send_event(Placed())
print(m.run(), repr(m).partition(" ")[2][:7], flush=True)
""",
        number,
    )
    assert (code, out, err) == (0, "handled\n0 stopped\n", "")


def test_run_with_a_blocked_listener() -> None:
    """With a listener that never returns, run() logs the stacks and ends the process with 70."""
    code, _, err = signalled(
        """
def blocked(e):
    ready()
    threading.Event().wait()
m = manager(blocked)
m.start()
m.send_event(Placed())
sys.exit(m.run(timeout=0.2))
""",
        signal.SIGTERM,
    )
    assert code == 70
    assert "in blocked" in err


def test_a_second_signal() -> None:
    """A second signal ends the process at once."""
    code, out, _ = signalled(
        """
class Handler(logging.Handler):
    def emit(self, record):
        if "stopping" in record.getMessage():
            os.kill(os.getpid(), 15)
logging.getLogger().setLevel(logging.INFO)
logging.getLogger().handlers = [Handler()]
def blocked(e):
    ready()
    threading.Event().wait()
m = manager(blocked)
m.start()
m.send_event(Placed())
m.run()
print("not here")
""",
        signal.SIGTERM,
    )
    assert (code, out) == (128 + signal.SIGTERM, "")


def test_a_signal_before_the_connection() -> None:
    """A signal while start() still waits for a broker is obeyed at once: nothing of it is left, the code is 0."""
    code, out, err = signalled(
        """
from aspyx_event import LocalProvider
class Slow(LocalProvider):
    def start(self, on_state, *, timeout):
        print("ready", flush=True)
        threading.Event().wait(40)
    def stop(self, *, timeout):
        print("undone", flush=True)
m = EventManager(Slow())
print(m.run(), repr(m).partition(" ")[2][:7], [t.name for t in threading.enumerate()], flush=True)
""",
        signal.SIGTERM,
    )
    assert (code, out, err) == (0, "undone\n0 stopped ['MainThread']\n", "")


def test_run_ends_with_the_manager() -> None:
    """run() returns as well when the manager is stopped elsewhere; the signal handlers are restored."""
    before = signal.getsignal(signal.SIGTERM)
    with managed(start=False) as manager:
        stops = Collected[StopResult]()

        def stop() -> None:
            while not manager.health().live:
                pass
            stops(manager.stop())

        thread = threading.Thread(target=stop)
        thread.start()
        assert manager.run() == 0
        thread.join(DEADLINE)
        assert stops.items == [StopResult()]
    assert signal.getsignal(signal.SIGTERM) is before


def test_run_outside_of_the_main_thread() -> None:
    """run() outside of the main thread is refused, and nothing is started."""
    errors = Collected[str]()

    def run() -> None:
        try:
            manager.run()
        except LifecycleError as error:
            errors(str(error))

    with managed(start=False) as manager:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(DEADLINE)
        assert not manager.health().live
    assert "to the main thread only" in errors.items[0]


def test_use_after_fork() -> None:
    """In a child that was forked after start() every use is refused, and says what to do; the parent works on."""
    result = ended("""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads, since Python 3.12
def on(e):
    print("handled", e.number, flush=True)
    started.set()
m = manager(on)
m.start()
calls = {
    "start": m.start, "stop": m.stop, "run": m.run, "replay": lambda: m.replay("x"),
    "dead_letters": lambda: list(m.dead_letters()), "send_event": lambda: m.send_event(Placed()),
    "send_events": lambda: m.send_events([Placed()]), "async": lambda: asyncio.run(m.send_event_async(Placed())),
}
child = os.fork()
if child == 0:
    for name, call in calls.items():
        try:
            call()
        except Exception as error:
            text = str(error)
            good = "before the fork" in text and "make and start a manager in the child" in text
            print(name, type(error).__name__ if good else text, flush=True)
    other = manager(lambda e: print("in the child", e.number, flush=True))
    other.start()
    other.send_event(Placed(2))
    other.stop()
    sys.exit(0)
print("child", os.waitpid(child, 0)[1], flush=True)
m.send_event(Placed(1))
started.wait()
m.stop()
""")
    lines = result.stdout.splitlines()
    names = ["start", "stop", "run", "replay", "dead_letters", "send_event", "send_events", "async"]
    assert lines[:8] == [f"{name} LifecycleError" for name in names], result.stderr
    assert "child 0" in lines
    assert "handled 1" in lines
    assert result.returncode == 0, result.stderr


def test_a_manager_made_before_a_fork() -> None:
    """A manager that was made, but not started, before a fork is the child's; so is its server name."""
    result = ended("""
m = manager(lambda e: None)
child = os.fork()
if child == 0:
    with m:
        m.send_event(Placed())
        print(str(os.getpid()) in m.provider.server_name, flush=True)
    sys.exit(0)
os.waitpid(child, 0)
""")
    assert (result.stdout, result.returncode) == ("True\n", 0), result.stderr


def test_check_process() -> None:
    """A process is its own; another's is refused by number."""
    process.check_process(None)
    process.check_process(os.getpid())
    with pytest.raises(LifecycleError, match=rf"started in process 1, before the fork that made process {os.getpid()}"):
        process.check_process(1)


def test_stacks() -> None:
    """The stacks name threads and functions."""
    text = process.stacks()
    assert "thread MainThread:" in text
    assert "in test_stacks" in text


def test_a_stopped_manager_is_not_kept() -> None:
    """A stopped manager is held by nobody."""
    seen = Collected[Any]()
    with managed(listening(seen)) as manager:
        assert id(manager) in process._running
        manager.send_event(Placed())
        seen.wait()
    assert id(manager) not in process._running

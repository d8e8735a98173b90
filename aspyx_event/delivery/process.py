"""The process around a manager: its end, its signals, its forks."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - registers its exit hook, before ours
import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import traceback
import weakref
from collections.abc import Iterator
from typing import Any, Callable, Protocol

from aspyx_event.exceptions import LifecycleError

logger = logging.getLogger(__name__)

EXIT_TIMEOUT = 30.0
EXIT_ABANDONED = 70
"""Exit code of a process that had to leave a listener behind: EX_SOFTWARE of sysexits.h."""


class Stoppable(Protocol):
    """A manager, as the process sees it."""

    def start(self) -> None:
        """See EventManager."""

    def stop(self, timeout: float = ...) -> Any:
        """See EventManager."""


class Interrupted(BaseException):
    """A signal that ``run()`` waits for came while ``start()`` was waiting for a broker."""


class AbandonedThreads:
    """Worker threads whose listener never returned. They would keep the interpreter from ending."""

    def __init__(self) -> None:
        self._threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

    def add(self, thread: threading.Thread | None) -> None:
        """Remember a thread."""
        if thread is not None:
            self._threads.add(thread)

    def alive(self) -> list[threading.Thread]:
        """Those that still run."""
        return [thread for thread in self._threads if thread.is_alive()]


abandoned_threads = AbandonedThreads()
_running: dict[int, tuple[Stoppable, int]] = {}
"""By id: the manager and its process. It is kept alive, because its threads work on also when nobody else holds it."""
_waiting: dict[int, queue.SimpleQueue[None]] = {}
"""By id: what run() waits for. No Event: setting one in a signal handler deadlocks when the signal meets its wait()."""


_connecting: set[threading.Thread] = set()
"""The main thread, while it waits for a broker in ``start()``."""


@contextlib.contextmanager
def connecting() -> Iterator[None]:
    """Around what ``start()`` undoes when it fails: here a signal raises Interrupted, if ``run()`` called it."""
    here = threading.current_thread()
    _connecting.add(here)
    try:
        yield
    finally:
        _connecting.discard(here)


def started(manager: Stoppable) -> None:
    """The manager has to be stopped before the process ends."""
    _running[id(manager)] = manager, os.getpid()


def stopped(manager: Stoppable) -> None:
    """The manager is stopped, and a run() that waits for it may end."""
    _running.pop(id(manager), None)
    if id(manager) in _waiting:
        _waiting[id(manager)].put(None)


def check_process(pid: int | None) -> None:
    """Raises LifecycleError in a child that was forked after ``start()``: threads and sockets did not come along."""
    if pid is not None and pid != os.getpid():
        raise LifecycleError(
            f"this manager was started in process {pid}, before the fork that made process {os.getpid()}: "
            "make and start a manager in the child, for gunicorn in post_fork"
        )


def _at_exit() -> None:
    for manager, pid in list(_running.values()):
        if pid != os.getpid():
            continue
        try:
            manager.stop(EXIT_TIMEOUT)
        except Exception:
            logger.exception("a manager could not be stopped at the end of the process")
    if abandoned_threads.alive():
        leave(EXIT_ABANDONED)


# A ThreadPoolExecutor joins its threads before ordinary atexit hooks run, and that join would wait for a blocked
# listener for ever. threading's own list of exit hooks (since 3.9) runs in reverse order; the executor's module puts
# its hook there and is imported above, so ours comes first: it drains while the executor still works.
getattr(threading, "_register_atexit", atexit.register)(_at_exit)


def leave(code: int) -> None:
    """Log what the abandoned threads are doing and end the process at once."""
    logger.error("listeners still run; leaving without them:\n%s", stacks())
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def stacks() -> str:
    """The stacks of all threads, as text."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"thread {names.get(ident, '?')}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    )


@contextlib.contextmanager
def signals(on_signal: Callable[[str], None]) -> Iterator[None]:
    """Call ``on_signal(name)`` for SIGTERM and SIGINT; a second signal ends the process at once.

    A ``start()`` in the main thread that still waits for a broker then raises Interrupted, as if it were Ctrl-C.

    Raises LifecycleError outside the main thread, where Python delivers no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        raise LifecycleError("run() waits for signals, which Python delivers to the main thread only: call it there")
    seen: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        on_signal(signal.Signals(number).name)
        if threading.main_thread() in _connecting:
            raise Interrupted

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python


def _wait(wanted: queue.SimpleQueue[None]) -> None:
    """Wait in steps: a signal that comes just before a thread blocks does not wake it, and is handled when it wakes."""
    while True:
        with contextlib.suppress(queue.Empty):
            return wanted.get(timeout=0.5)


def run_until_signal(manager: Stoppable, timeout: float) -> int:
    """The body of ``EventManager.run()``."""
    wanted: queue.SimpleQueue[None] = queue.SimpleQueue()

    def on_signal(name: str) -> None:
        logger.info("%s: stopping", name)
        wanted.put(None)

    with signals(on_signal):
        _waiting[id(manager)] = wanted
        try:
            manager.start()
            _wait(wanted)
        except Interrupted:
            logger.info("start() was given up before it had ended")
        finally:
            del _waiting[id(manager)]
        result = manager.stop(timeout)
        if result.abandoned:
            leave(EXIT_ABANDONED)
    return 0

"""The one asyncio loop for all async listeners of a manager."""

from __future__ import annotations

import concurrent.futures
import inspect
import logging
import threading
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio  # at run time with the first coroutine: most programs have none, and it takes its time to import

logger = logging.getLogger(__name__)


class LoopThread:
    """A daemon thread with an event loop, started with its first coroutine. Thread-safe; done once it is stopped."""

    def __init__(self, name: str = "aspyx-loop") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Run a coroutine on the loop, in a copy of the caller's context. After ``stop`` its future is cancelled."""
        import asyncio

        with self._lock:  # held over both steps: what is submitted before stop() is cancelled by it, never forgotten
            if not self._stopped:
                return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())
        coroutine.close()
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.cancel()
        return future

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Run it to its end, and answer its result. CancelledError of ``concurrent.futures`` when it was cancelled."""
        import asyncio

        future = self.submit(awaitable if inspect.iscoroutine(awaitable) else _await(awaitable))
        try:
            return future.result()
        except asyncio.CancelledError:
            raise concurrent.futures.CancelledError from None

    def owns_current_thread(self) -> bool:
        """Whether the caller runs on this loop's thread."""
        return threading.current_thread() is self._thread

    def stop(self, timeout: float | None) -> threading.Thread | None:
        """Cancel what still runs and end the thread. The thread itself is answered if a coroutine blocks it."""
        with self._lock:
            self._stopped = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
            if loop is None or thread is None:
                return None
            loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout)
        if not thread.is_alive():
            return None
        logger.warning("the loop of the async listeners does not end: a coroutine blocks it")
        return thread

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run, args=(self._loop,), name=self._name, daemon=True)
            self._thread.start()
        return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        asyncio.set_event_loop(loop)
        try:
            while _left_by_a_task(loop):
                pass
        finally:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            asyncio.set_event_loop(None)
            loop.close()

    def __repr__(self) -> str:
        return f"<LoopThread {self._name} {'running' if self._thread else 'idle'}>"


def _left_by_a_task(loop: asyncio.AbstractEventLoop) -> bool:
    """Run the loop; True when it was no stop() that ended it, but a task with sys.exit(), whose future says so."""
    try:
        loop.run_forever()
    except (SystemExit, KeyboardInterrupt):
        return True
    return False


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable

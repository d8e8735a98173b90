"""What every broker has in common: install, start, stop, kill and restart on the same ports with the same data."""

from __future__ import annotations

import atexit
import signal
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, TypeVar

from .host import HOST, BrokerUnavailable, port_descriptors
from .process import BrokerFailed, BrokerProcess

__all__ = ["Broker", "BrokerFailed", "BrokerUnavailable"]

_Self = TypeVar("_Self", bound="Broker")
_open: set[Broker] = set()


class Broker(ABC):
    """A broker with data and ports of its own. Use it as a context manager, or call `start` and `close`.

    `BrokerUnavailable` says that it cannot be had here, `BrokerFailed` that it was started and did not come up.
    """

    name: ClassVar[str]
    ready: ClassVar[str]
    start_timeout: ClassVar[float] = 60
    stop_timeout: ClassVar[float] = 20

    host = HOST
    user = "admin"
    password = "admin-s3cret"

    def __init__(self) -> None:
        self._process: BrokerProcess | None = None
        self._prepared = False
        parent = self.folder_parent()
        self._folder = tempfile.TemporaryDirectory(prefix=f"{self.name}-", dir=parent)
        self.directory = Path(self._folder.name)
        _open.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._process or 'stopped'}>"

    @classmethod
    @abstractmethod
    def install(cls) -> None:
        """Make sure the broker is in the cache. Cheap when it is there already."""

    @abstractmethod
    def prepare(self) -> None:
        """Write this broker's configuration into `directory`; called once, before the first start."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command that runs the broker in the foreground."""

    @abstractmethod
    def describe(self) -> Mapping[str, object]:
        """What a person needs to connect: ports, URLs, users."""

    def environment(self) -> Mapping[str, str]:
        return {}

    def folder_parent(self) -> Path | None:
        """Where `directory` is made; the system's folder for temporary files unless a broker must see it elsewhere."""
        return None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self: _Self) -> _Self:
        """Start the broker and return once it serves its ports; starting a running broker changes nothing."""
        if self.running:
            return self
        if not self._prepared:
            self.install()
            self.prepare()
            self._prepared = True
        self._process = BrokerProcess(self.command(), log=self.log, directory=self.directory, env=self.environment())
        self._process.wait_until_ready(self.ready, self.start_timeout)
        return self

    def stop(self) -> None:
        """End it in good order (SIGTERM); its data stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL); what it had written stays."""
        self._end(signal.SIGKILL)

    def restart(self: _Self, *, kill: bool = False) -> _Self:
        """Stop or kill it, then start it on the same ports with the same data."""
        self._end(signal.SIGKILL if kill else signal.SIGTERM)
        return self.start()

    def close(self) -> None:
        """Kill it and throw its data away."""
        try:
            self.kill()
        finally:
            self._folder.cleanup()
            _open.discard(self)

    @property
    def process_id(self) -> int:
        """The process that `command` became; it may have started others. Raises BrokerFailed when none runs."""
        if self._process is None:
            raise BrokerFailed(f"{self.name} does not run")
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.directory / "console.log"

    def log_tail(self, lines: int = 40) -> str:
        return self._process.log_tail(lines) if self._process else ""

    def __enter__(self: _Self) -> _Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end(self, first: signal.Signals) -> None:
        if self._process is not None:
            self._process.end(first, self.stop_timeout)
            self._process = None

    def _descriptors(self) -> set[int]:
        fd = self._process.guard_fd if self._process else None
        return set() if fd is None else {fd}


def broker_descriptors() -> set[int]:
    """The file descriptors that brokers and their ports hold in this process: no leak of a test that runs meanwhile."""
    return {fd for broker in _open for fd in broker._descriptors()} | port_descriptors()


@atexit.register
def _close_all() -> None:
    for broker in list(_open):
        broker.close()

"""What the brokers need from this machine: a cache folder, free ports, and commands that must succeed."""

from __future__ import annotations

import atexit
import fcntl
import itertools
import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HOST = "127.0.0.1"

# Below the range that the kernel hands out to outgoing connections: a client that reconnects while the broker is down
# must never be given the broker's own port. Each process takes a block of it for itself, or another one could be given
# the port of a broker that is stopped for a while.
_PORTS = range(20000, 32000)
_BLOCK = 200
_blocks: dict[int, tuple[socket.socket, Iterator[int]]] = {}


class BrokerUnavailable(Exception):
    """The broker cannot be had on this machine; the text says what is missing."""


def cache_directory() -> Path:
    """Return the folder for what is downloaded once. It is outside the checkout and survives a run."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME") or tempfile.gettempdir(), ".cache")
    directory = Path(base) / "aspyx_event"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextmanager
def install_lock(name: str) -> Iterator[None]:
    """Let one process at a time install the broker `name`."""
    with open(cache_directory() / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nobody listens on; no other process is given them while this one lives."""
    if os.getpid() not in _blocks:
        _blocks[os.getpid()] = _take_block()
    ports: list[int] = []
    for port in itertools.islice(_blocks[os.getpid()][1], _BLOCK):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise BrokerUnavailable(f"no {count} free ports on {HOST}")


def port_descriptors() -> set[int]:
    """The file descriptor that keeps the block of ports of this process."""
    return {owner.fileno() for owner, _ in _blocks.values()}


def _take_block() -> tuple[socket.socket, Iterator[int]]:
    """Take a block of ports whose first one nobody has, by binding it for as long as this process lives."""
    starts = _PORTS[::_BLOCK]
    for first in random.SystemRandom().sample(starts, len(starts)):
        owner = socket.socket()
        try:
            owner.bind((HOST, first))
        except OSError:
            owner.close()
        else:
            atexit.register(owner.close)
            return owner, itertools.cycle(range(first + 1, first + _BLOCK))
    raise BrokerUnavailable(f"other processes have all ports of {HOST} from {_PORTS.start} to {_PORTS.stop - 1}")


def run(command: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed; BrokerUnavailable shows the end of it on failure."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            env=None if env is None else {**os.environ, **env},
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise BrokerUnavailable(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise BrokerUnavailable(f"{command[0]} did not end within {timeout:.0f} s") from error
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise BrokerUnavailable(f"{' '.join(command[:3])} ... failed with {done.returncode}:\n{tail}")
    return done.stdout


def apt_install(*packages: str) -> None:
    """Install Debian packages, where that is possible; else say which are missing."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BrokerUnavailable(f"it needs Debian's {', '.join(packages)}; as root they are installed by themselves")
    with install_lock("apt"):
        run(["apt-get", "-qq", "update"], timeout=300)
        install = ["apt-get", "-qq", "-y", "--no-install-recommends", "install", *packages]
        run(install, timeout=600, env={"DEBIAN_FRONTEND": "noninteractive"})

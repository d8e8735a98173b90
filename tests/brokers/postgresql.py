"""PostgreSQL, where it is installed: a server of its own on a free port, without passwords. No broker, but started
like one."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from .base import Broker
from .host import HOST, BrokerUnavailable, free_ports, run

_DEBIAN = Path("/usr/lib/postgresql")


class PostgresServer(Broker):
    """A server at `port`, where everybody may do everything as the user `postgres`; it does not wait for the disk."""

    name: ClassVar[str] = "postgresql"
    ready: ClassVar[str] = "database system is ready to accept connections"

    user = "postgres"

    def __init__(self) -> None:
        super().__init__()
        (self.port,) = free_ports(1)

    @classmethod
    def install(cls) -> None:
        """Raises `BrokerUnavailable` where it is not installed: the Debian package would start a server by itself."""
        _program("initdb")

    def prepare(self) -> None:
        for path in (self.directory, self.log):
            path.touch(exist_ok=True)
            if os.geteuid() == 0:
                os.chown(path, _owner().pw_uid, _owner().pw_gid)
        run([*_as_owner(), _program("initdb"), "-D", str(self._data), "-U", self.user, "-A", "trust", "-N"], timeout=60)

    def command(self) -> Sequence[str]:
        options = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": self.directory,
            "fsync": "off",
            "shared_buffers": "16MB",
        }
        switches = [switch for name, value in options.items() for switch in ("-c", f"{name}={value}")]
        return [*_as_owner(), _program("postgres"), "-D", str(self._data), *switches]

    def describe(self) -> Mapping[str, object]:
        return {"url": self.url}

    @property
    def url(self) -> str:
        return f"postgresql://{self.user}@{HOST}:{self.port}"

    @property
    def _data(self) -> Path:
        return self.directory / "data"


def _program(name: str) -> str:
    found = shutil.which(name) or next(
        (str(path) for path in sorted(_DEBIAN.glob(f"*/bin/{name}"), reverse=True)), None
    )
    if found is None:
        raise BrokerUnavailable(f"PostgreSQL's {name} is not installed (on Debian: apt-get install postgresql)")
    return found


def _owner() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise BrokerUnavailable("PostgreSQL does not run as root, and there is no user 'postgres'") from None


def _as_owner() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_owner().pw_uid}", f"--regid={_owner().pw_gid}", "--clear-groups"]


if __name__ == "__main__":
    from .hand import run_by_hand

    run_by_hand(PostgresServer)

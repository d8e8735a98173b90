"""What a SQLite provider is told, and how a URL says it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import unquote

from aspyx_event.events import check_name
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.naming import DEFAULT_SERVER_NAME, Naming

_SHAPES = "sqlite:///relative.db or sqlite:////absolute/path.db"
_NUMBERS = {"poll": float, "max_size": int, "min_free": int}


@dataclass(frozen=True)
class SqliteSettings:
    """The options of one provider. Immutable.

    path: the file; it is created, its folder is not. A relative one counts from the folder in which ``start()`` runs.
    server_name: must differ per process; ``{host}`` and ``{pid}`` in it are replaced. prefix: separates applications.
    error_queue: instead of the one that the prefix gives.
    poll: seconds after which events of other processes are found at the latest, where their wake-up calls do not come
    through (containers with networks of their own). max_size: bytes that the file may have; a send that needs more is
    rejected. None: as much as the disk has. min_free: bytes that the disk keeps; with less, sends are rejected, so that
    what is in the file can still be handled.

    Raises ConfigurationError that names the option.
    """

    path: str
    server_name: str = DEFAULT_SERVER_NAME
    prefix: str = ""
    error_queue: Optional[str] = None
    poll: float = 1.0
    max_size: Optional[int] = None
    min_free: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        try:
            path = os.fspath(self.path)
        except TypeError:
            path = None
        if not isinstance(path, str) or not path or "\0" in path:
            raise ConfigurationError(f"SqliteProvider(path={self.path!r}): give the path of a file")
        if path.startswith(":"):
            raise ConfigurationError(
                f"SqliteProvider(path={path!r}): events in memory are what local:// is for; give the path of a file"
            )
        object.__setattr__(self, "path", path)
        _ = self.naming
        if self.error_queue is not None:
            check_name(self.error_queue, "error_queue")
        if isinstance(self.poll, bool) or not isinstance(self.poll, (int, float)) or not 0 < self.poll <= 60:
            raise ConfigurationError(f"SqliteProvider(poll={self.poll!r}): a number of seconds, above 0, up to 60")
        size = self.max_size
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1024 * 1024):
            raise ConfigurationError(f"SqliteProvider(max_size={size!r}): a number of bytes, a mebibyte or more")
        if isinstance(self.min_free, bool) or not isinstance(self.min_free, int) or self.min_free < 0:
            raise ConfigurationError(f"SqliteProvider(min_free={self.min_free!r}): a number of bytes, zero or more")

    @property
    def naming(self) -> Naming:
        """The names of queues and of this process."""
        return Naming(self.server_name, self.prefix)


def arguments_from_url(url: str) -> dict[str, Any]:
    """Keyword arguments of a provider from ``sqlite:///path?option=value``. The path is percent-decoded.

    The path is cut out by hand: an absolute one has four slashes in a row, which ``urllib`` may take as it likes.
    Raises ConfigurationError.
    """
    rest, _, query = url.partition("://")[2].partition("?")
    if "@" in rest.partition("/")[0]:  # often a broker's, left over in the environment
        raise ConfigurationError(
            "a sqlite:// URL has no user and no password: take them out of it, and unset ASPYX_EVENT_USER and "
            "ASPYX_EVENT_PASSWORD where they are set for another broker"
        )
    if not rest.startswith("/") or len(rest) < 2:
        raise ConfigurationError(f"a sqlite:// URL holds the path of a file and no host: write {_SHAPES}")
    if "#" in url:
        raise ConfigurationError("a sqlite:// URL has no '#': write it in the path as %23, and '?' as %3F")
    found: dict[str, Any] = {"path": unquote(rest[1:])}
    for piece in filter(None, query.split("&")):
        name, _, value = piece.partition("=")
        if name == "path" or name not in SqliteSettings.__dataclass_fields__:
            known = ", ".join(known for known in SqliteSettings.__dataclass_fields__ if known != "path")
            raise ConfigurationError(f"sqlite:// does not know the option {name!r}; it has {known}")
        if name in found:
            raise ConfigurationError(f"the provider URL gives the option {name!r} twice")
        found[name] = _parsed(name, unquote(value))
    return found


def _parsed(name: str, value: str) -> Any:
    try:
        return _NUMBERS[name](value) if name in _NUMBERS else value
    except ValueError:
        raise ConfigurationError(f"the option {name}={value!r}: a number") from None

"""Where the commands get their settings from: options, then environment variables, then a file."""

from __future__ import annotations

import configparser
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from aspyx_event.exceptions import ConfigurationError

FILE = "aspyx_event.ini"
SECTION = "aspyx_event"
KEYS = ("url", "user", "password", "app", "server_name", "prefix", "workers")
"""Of the file; as environment variables ASPYX_EVENT_URL and so on."""

_INSTEAD = (
    "set ASPYX_EVENT_PASSWORD, or write password= into the file aspyx_event.ini (chmod 600); other users of the "
    "machine can read command lines"
)


@dataclass(frozen=True)
class Settings:
    """What was said, from the first place that says it. The password appears in no repr.

    url: the broker's. user, password, server_name, prefix: what goes into it. app: where events and listeners are.
    workers: threads for listeners. file: the file that was read.
    """

    url: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    app: str = ""
    server_name: str = ""
    prefix: str = ""
    workers: Optional[int] = None
    file: Optional[Path] = None

    @property
    def full_url(self) -> str:
        """The URL with everything in it: not to be shown. Raises ConfigurationError when there is none."""
        if not self.url:
            raise ConfigurationError(
                "which broker? Give --url, set ASPYX_EVENT_URL, or write url= into aspyx_event.ini"
            )
        options = {"server_name": self.server_name, "prefix": self.prefix}
        return _completed(self.url, self.user, self.password, {key: value for key, value in options.items() if value})

    @property
    def readable_by_others(self) -> bool:
        """Whether the file has a password, and other users of the machine may read it."""
        if self.file is None or "password" not in _read(self.file):
            return False
        return os.name == "posix" and bool(self.file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def settings(
    options: Mapping[str, Any], *, file: Optional[str] = None, environment: Optional[Mapping[str, str]] = None
) -> Settings:
    """Put together what ``options`` (those of the command line; None: not given), environment and file say.

    file: instead of ASPYX_EVENT_CONFIG, and of ``aspyx_event.ini`` in the current directory. Raises ConfigurationError
    for a file that cannot be read, unknown keys, and a password on the command line.
    """
    variables = os.environ if environment is None else environment
    _refuse_password(str(options.get("url") or ""))
    named = file or variables.get("ASPYX_EVENT_CONFIG")
    path = Path(named or FILE)
    found = _read(path) if named or path.is_file() else {}
    values: dict[str, Any] = dict(found)
    values.update({key: text for key in KEYS if (text := variables.get(f"ASPYX_EVENT_{key.upper()}"))})
    values.update({key: value for key, value in options.items() if value is not None and key in KEYS})
    if values.get("workers") is not None:
        values["workers"] = _workers(values["workers"])
    return Settings(**values, file=path if found else None)


def _read(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as stream:
            parser.read_file(stream)
    except OSError as error:
        raise ConfigurationError(f"the file {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"the file {path} is not UTF-8") from None
    except configparser.Error as error:  # its message repeats lines, and one may be a password
        raise ConfigurationError(f"the file {path} is no INI file ({type(error).__name__})") from None
    if SECTION not in parser:
        raise ConfigurationError(f"the file {path} has no section [{SECTION}]")
    unknown = sorted(set(parser[SECTION]) - set(KEYS))
    if unknown:
        raise ConfigurationError(f"the file {path} has an unknown key {unknown[0]!r}; there are {', '.join(KEYS)}")
    return dict(parser[SECTION])


def _workers(value: Any) -> int:
    try:
        return int(value)
    except ValueError:
        raise ConfigurationError(f"workers = {value!r}: a number of threads from 1 on") from None


def _refuse_password(url: str) -> None:
    """Raises ConfigurationError for a --url with a password in it, or with what may be a piece of one."""
    if ":" in url.partition("://")[2].rpartition("@")[0]:
        raise ConfigurationError(f"there is a password in --url: leave it out there, and {_INSTEAD}")


def _completed(url: str, user: str, password: str, options: Mapping[str, str]) -> str:
    """Put user, password and options where the URL has none. Raises ConfigurationError."""
    try:
        parts = urlsplit(url)
        known = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        return url  # provider_from_url says what is wrong, and repeats nothing
    login, at, hosts = parts.netloc.rpartition("@")
    if user and at and login.partition(":")[0] != quote(user, safe=""):
        raise ConfigurationError("the URL has another user than ASPYX_EVENT_USER, or user= of the file")
    name = login.partition(":")[0] or quote(user, safe="")
    if password and not name:
        raise ConfigurationError("there is a password, but no user: put one into the URL, or set ASPYX_EVENT_USER")
    secret = login.partition(":")[2] or quote(password, safe="")
    if name:
        url = url.replace(f"//{parts.netloc}", f"//{name}{f':{secret}' if secret else ''}@{hosts}", 1)
    for key, value in options.items():
        if known.get(key, value) != value:
            raise ConfigurationError(f"the URL says {key}={known[key]}, and another place {value!r}: keep one of them")
    added = urlencode({key: value for key, value in options.items() if key not in known})
    return f"{url}{'&' if '?' in url else '?'}{added}" if added else url

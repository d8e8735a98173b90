"""How each value of the integrations' settings is read, and how a URL is completed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, Callable, Optional
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.retry import RetryPolicy

DEFAULT = '{"URL": "amqp://localhost:61616/"}'
SECRETS = ("url", "user", "password")
"""Values that no message repeats."""
_DAY = 86400.0
_RETRY_NUMBERS = ("immediate", "immediate_wait", "delayed", "jitter")


class Unfit(Exception):
    """A value cannot be meant; the message says what would fit."""


def nearest(name: str) -> str:
    """The end of a sentence about an unknown key: what was probably meant, or what there is."""
    close = difflib.get_close_matches(name, READERS, n=1)
    if close:
        return f"did you mean {close[0].upper()!r}?"
    return f"it has {', '.join(key.upper() for key in READERS)}"


def complete_url(url: str, *, user: str, password: str, options: Mapping[str, str]) -> str:
    """Put user, password and options into a URL. Raises ConfigurationError for what it says already."""
    try:
        parts = urlsplit(url)
        known = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        return url  # provider_from_url says what is wrong with it
    if password and not user:
        raise ConfigurationError("there is a PASSWORD, but no USER")
    if user:
        if "@" in parts.netloc:
            raise ConfigurationError("the URL has a user of its own: leave USER and PASSWORD out, or take it out there")
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        url = url.replace("://", f"://{login}@", 1)
    wanted = {name: value for name, value in options.items() if value}
    for name in wanted:
        if name in known:
            raise ConfigurationError(f"the URL has a {name}= already: leave {name.upper()} out, or take it out there")
    return url + ("&" if "?" in url else "?") + urlencode(wanted) if wanted else url


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("write a text")
    return value


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unfit("write True or False")
    return value


def _maybe(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Unfit("write a whole number from 1 on")
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _DAY:
        raise Unfit("write seconds, more than 0 and at most a day")
    return float(value)


def _several(value: Any, fits: Callable[[Any], bool], wanted: str) -> tuple[Any, ...]:
    """One thing may stand for a list of one."""
    things = value if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) else (value,)
    found = tuple(things)
    if not all(fits(thing) for thing in found):
        raise Unfit(f"write {wanted}, or a list of such")
    return found


def _packages(value: Any) -> tuple[Any, ...]:
    return _several(
        value,
        lambda thing: isinstance(thing, ModuleType) or (isinstance(thing, str) and bool(thing.strip())),
        "the dotted name of a package or module, such as 'shop.events'",
    )


def _things(value: Any) -> tuple[Any, ...]:
    return _several(
        value,
        lambda thing: thing is not None and not isinstance(thing, (bool, int, float, bytes, Mapping)),
        "a class, function or instance, or its dotted name",
    )


def _callables(value: Any) -> tuple[Any, ...]:
    return _several(
        value, lambda thing: callable(thing) or isinstance(thing, str), "a function of one Outcome, or its dotted name"
    )


def _factory(value: Any) -> Optional[Any]:
    if value is not None and not callable(value) and not isinstance(value, str):
        raise Unfit("write a function that makes an instance of a class, or its dotted name")
    return value


def _retry(value: Any) -> RetryPolicy:
    if isinstance(value, RetryPolicy):
        return value
    if not isinstance(value, Mapping):
        raise Unfit("write a RetryPolicy, or a dict such as {'immediate': 2, 'delayed': [10, 60]}")
    numbers = {str(key).lower(): number for key, number in value.items()}
    unknown = [key for key in numbers if key not in _RETRY_NUMBERS]
    if unknown:
        raise Unfit(f"it does not know {unknown}; it has {', '.join(_RETRY_NUMBERS)}; a RetryPolicy has more")
    return RetryPolicy(**numbers)


READERS: dict[str, Callable[[Any], Any]] = {
    "url": _text,
    "user": _text,
    "password": _text,
    "server_name": _text,
    "prefix": _text,
    "workers": _maybe(_number),
    "max_message_size": _number,
    "strict": _yes_or_no,
    "retry": _retry,
    "scan": _packages,
    "register": _things,
    "factory": _factory,
    "exception_handlers": _things,
    "observers": _callables,
    "listen": _maybe(_yes_or_no),
    "send_timeout": _seconds,
    "start_timeout": _seconds,
    "stop_timeout": _seconds,
}
"""The known settings, and how each is read."""

"""Providers of other distributions: entry points ``aspyx_event.providers``, each named by the scheme of its URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aspyx_event.exceptions import ConfigurationError, EventError
from aspyx_event.provider import Provider

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "aspyx_event.providers"


def installed_schemes() -> list[str]:
    """The schemes that other distributions offer, in alphabetical order. Imports none of them."""
    return sorted({point.name.lower() for _, point in _installed()})


def provider_from_entry_point(scheme: str, url: str) -> Provider | None:
    """The provider that another distribution makes of a URL. None: no distribution knows the scheme.

    Raises ConfigurationError when two distributions claim it, when the entry point cannot be imported or called, when
    it fails, and when what it answers is no Provider. The factory's own errors of this library pass as they are.
    """
    found = [(name, point) for name, point in _installed() if point.name.lower() == scheme]
    if not found:
        return None
    if len(found) > 1:
        claims = ", ".join(f"{name} ({point.value})" for name, point in sorted(found, key=lambda one: one[0]))
        raise ConfigurationError(
            f"several entry points in the group {GROUP!r} claim {scheme}://: {claims}; uninstall all but one, or make "
            "the provider yourself and give the instance to EventManager"
        )
    [(name, point)] = found
    return _made(f"the provider of {scheme}:// ({point.value}, of the distribution {name})", point, url)


def _made(what: str, point: EntryPoint, url: str) -> Provider:
    # No error repeats the URL, which may hold a password.
    try:
        factory = point.load()
    except Exception as error:
        raise ConfigurationError(f"{what} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(factory):
        raise ConfigurationError(
            f"{what} cannot be called: it is {type(factory).__name__}; it has to be a function of the URL that answers "
            "a Provider"
        )
    try:
        provider = factory(url)
    except EventError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{what} failed with {type(error).__name__}; the cause is above") from error
    if not isinstance(provider, Provider):
        raise ConfigurationError(f"{what} answered {type(provider).__name__}, which is no aspyx_event.Provider")
    return provider


def _installed() -> Iterator[tuple[str, EntryPoint]]:
    """Each distribution once: on ``sys.path`` the first one of a name hides the others, as it does for imports.

    Not by ``entry_points()``: on Python 3.9 that does not tell the distribution.
    """
    from importlib.metadata import distributions  # takes longer to import than the rest of the library's own code

    seen = set()
    for distribution in distributions():
        name = distribution.metadata["Name"] or "?"
        normal = re.sub(r"[-_.]+", "-", name).lower()
        if normal in seen:
            continue
        seen.add(normal)
        for point in distribution.entry_points:
            if point.group == GROUP:
                yield name, point

"""Schemes that other distributions offer. What pip leaves behind is written by hand here; tests/docs lets pip do it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Callable

import pytest

from aspyx_event import ConfigurationError, LocalProvider, ProviderUnavailable, SqliteProvider, provider_from_url
from tests.unit.support import run_script

_numbers = itertools.count()
Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with one module and entry points; returns the module's name."""

    def make(distribution: str, source: str, scheme: str, attribute: str = "make", folder: str = "site") -> str:
        module = f"module_of_a_test_{next(_numbers)}"
        site = tmp_path / folder
        info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[aspyx_event.providers]\n{scheme} = {module}:{attribute}\n")
        monkeypatch.syspath_prepend(str(site))
        return module

    return make


_MAKE = """
from aspyx_event import LocalProvider
def make(url):
    made = LocalProvider()
    made.url = url
    return made
"""


def _refusal(url: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        provider_from_url(url)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def test_the_factory_gets_the_url_as_it_is(install: Install) -> None:
    """A scheme of another distribution: its factory gets the whole URL, whatever that looks like."""
    install("kafka-for-aspyx", _MAKE, "kafka")
    url = "KAFKA://me:p[/x@h1,h2:port/a/b?x=1&x=2#c"
    provider: Any = provider_from_url(url)
    assert isinstance(provider, LocalProvider)
    assert provider.url == url  # type: ignore[attr-defined]


def test_odd_schemes(install: Install) -> None:
    """A scheme may hold '+', '-' and '.'; the case of the entry point's name does not matter."""
    install("redis-for-aspyx", _MAKE, "Redis+unix")
    assert isinstance(provider_from_url("redis+unix:///run/redis"), LocalProvider)


def test_two_distributions_for_one_scheme(install: Install) -> None:
    """Two distributions for one scheme: the error names both, and what to do."""
    one = install("kafka-one", _MAKE, "kafka", folder="a")
    two = install("kafka-two", _MAKE, "kafka", folder="b")
    refusal = _refusal("kafka://me:s3cret@h")
    assert f"kafka-one ({one}:make), kafka-two ({two}:make)" in refusal
    assert "uninstall all but one" in refusal


def test_one_distribution_that_is_there_twice(install: Install) -> None:
    """A distribution that lies in two folders of sys.path is one: the first hides the other, as for imports."""
    install("kafka-for-aspyx", "raise RuntimeError('the old one')", "kafka", folder="old")
    install("Kafka_for.aspyx", _MAKE, "kafka", folder="new")
    assert isinstance(provider_from_url("kafka://h"), LocalProvider)


def test_a_module_that_cannot_be_imported(install: Install) -> None:
    """An entry point whose module fails: the error names it, its distribution and the cause, which is chained."""
    module = install("kafka-for-aspyx", "import a_package_that_is_not_there", "kafka")
    refusal = _refusal("kafka://me:s3cret@h")
    assert f"kafka:// ({module}:make, of the distribution kafka-for-aspyx) cannot be imported" in refusal
    assert "ModuleNotFoundError: No module named 'a_package_that_is_not_there'" in refusal


def test_an_attribute_that_is_not_there(install: Install) -> None:
    """An entry point that names nothing is refused like a module that fails."""
    install("kafka-for-aspyx", _MAKE, "kafka", attribute="nothing")
    assert "cannot be imported: AttributeError" in _refusal("kafka://h")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("make = 3", "cannot be called: it is int"),
        ("def make(url): return None", "answered NoneType, which is no aspyx_event.Provider"),
        ("def make(url): raise ValueError(url)", "failed with ValueError"),
        ("def make(): pass", "failed with TypeError"),
    ],
)
def test_a_factory_that_is_none(source: str, message: str, install: Install) -> None:
    """What is not callable, fails, or answers something else is refused by name; the URL's password is not repeated."""
    install("kafka-for-aspyx", source, "kafka")
    assert message in _refusal("kafka://me:s3cret@h")


def test_the_factorys_own_errors_pass(install: Install) -> None:
    """An error of this library that a factory raises is not wrapped."""
    install(
        "kafka-for-aspyx",
        "from aspyx_event import ProviderUnavailable\ndef make(url): raise ProviderUnavailable('no')",
        "kafka",
    )
    with pytest.raises(ProviderUnavailable, match=r"^no$"):
        provider_from_url("kafka://h")


@pytest.mark.parametrize(("scheme", "kind"), [("local", LocalProvider), ("sqlite", SqliteProvider)])
def test_a_scheme_of_ours_cannot_be_taken_over(scheme: str, kind: type, install: Install) -> None:
    """An entry point with a scheme of this library is not even imported."""
    install("a-thief", "raise RuntimeError('imported')", scheme)
    assert isinstance(provider_from_url(f"{scheme}:///a.db" if scheme == "sqlite" else f"{scheme}://"), kind)


def test_an_unknown_scheme_tells_what_is_installed(install: Install) -> None:
    """An unknown scheme is named together with all that are known, those of other distributions included."""
    install("kafka-for-aspyx", "raise RuntimeError('imported')", "kafka")
    refusal = _refusal("kafak://me:s3cret@h")
    assert "no provider for the URL scheme 'kafak'" in refusal
    assert "sqlite://, kafka://" in refusal
    assert "'aspyx_event.providers'" in refusal


def test_looking_for_entry_points_costs_nothing_until_then() -> None:
    """The metadata of distributions are not even imported for a scheme of this library."""
    script = (
        "import sys, aspyx_event; aspyx_event.provider_from_url('local://'); print('importlib.metadata' in sys.modules)"
    )
    assert run_script(script).stdout == "False\n"

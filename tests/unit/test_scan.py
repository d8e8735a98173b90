"""EventRegistry.scan."""

from __future__ import annotations

import importlib
import sys

import pytest

from aspyx_event import ConfigurationError, EventRegistry
from tests.unit.sample import shop

SAMPLE = "tests.unit.sample"


def names(registry: EventRegistry) -> tuple[set[str], set[str]]:
    return {e.name for e in registry.events}, {listener.name for listener in registry.listeners}


def test_scan_a_package() -> None:
    """A scan collects what is decorated and defined in a package, down to its sub-packages."""
    registry = EventRegistry().scan(shop)
    assert names(registry) == ({"Placed", "Deep"}, {"Billing", "ship"})
    assert [type(pipeline).__name__ for pipeline in registry.pipelines()] == ["Tracing"]


def test_scan_by_name() -> None:
    """A dotted name is as good as the package."""
    assert names(EventRegistry().scan(f"{SAMPLE}.shop")) == names(EventRegistry().scan(shop))


def test_scan_a_module() -> None:
    """A single module can be scanned; the event of its listeners comes along."""
    assert names(EventRegistry().scan(f"{SAMPLE}.shop.listeners")) == ({"Placed"}, {"Billing", "ship"})


def test_main_is_left_alone() -> None:
    """``__main__`` is not imported."""
    EventRegistry().scan(shop)
    assert f"{SAMPLE}.shop.__main__" not in sys.modules


def test_foreign_things_are_not_collected() -> None:
    """What a module only imports, or re-exports, is not collected."""
    registry = EventRegistry().scan(shop)
    assert "Foreign" not in names(registry)[0]


def test_scan_twice() -> None:
    """Scanning again changes nothing."""
    registry = EventRegistry().scan(shop)
    before = registry.events, registry.listeners, registry.pipelines()
    registry.scan(shop).scan(f"{SAMPLE}.shop.deep")
    assert (registry.events, registry.listeners, registry.pipelines()) == before


@pytest.mark.parametrize(("module", "reason"), [("module", "ZeroDivisionError: no luck"), ("leaving", "SystemExit: 3")])
def test_import_error(module: str, reason: str) -> None:
    """A module that cannot be imported is named, with the reason and its cause."""
    with pytest.raises(
        ConfigurationError, match=f"module '{SAMPLE}.broken.{module}' cannot be imported: {reason}"
    ) as e:
        EventRegistry().scan(f"{SAMPLE}.broken.{module}")
    assert e.value.__cause__ is not None


def test_import_error_below() -> None:
    """It is found while its package is scanned."""
    with pytest.raises(ConfigurationError, match=rf"module '{SAMPLE}\.broken\.\w+' cannot be imported"):
        EventRegistry().scan(f"{SAMPLE}.broken")


def test_unknown_package() -> None:
    """A package that does not exist is named."""
    with pytest.raises(ConfigurationError, match="'no_such_package' cannot be imported: ModuleNotFoundError"):
        EventRegistry().scan("no_such_package")


def test_no_package() -> None:
    """Something that is neither package nor name is refused."""
    with pytest.raises(ConfigurationError, match=r"scan\(3\): give a package"):
        EventRegistry().scan(3)  # type: ignore[arg-type]


def test_two_events_of_one_name() -> None:
    """Two events of one name are refused, naming both places."""
    one, two = (importlib.import_module(f"{SAMPLE}.twice.{name}").__name__ for name in ("one", "two"))
    with pytest.raises(ConfigurationError, match=rf"two events are named 'Same': {one}\.Same and {two}\.Same"):
        EventRegistry().scan(f"{SAMPLE}.twice")

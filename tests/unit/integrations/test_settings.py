"""The settings of the integrations."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytest

from aspyx_event import (
    ConfigurationError,
    EventListener,
    Outcome,
    RetryPolicy,
    catch,
    event,
    event_listener,
)
from aspyx_event.integrations.settings import Settings, read

HERE = __name__
SECRET = "s3cret/p@ss"


@event()
@dataclass
class Paid:
    amount: int


@event_listener(Paid)
class Ledger(EventListener[Paid]):
    def on(self, event: Paid) -> None:
        raise ValueError(event.amount)


class Handlers:
    seen: list[BaseException] = []  # noqa: RUF012

    @catch()
    def value(self, error: ValueError) -> None:
        self.seen.append(error)


def observe(outcome: Outcome) -> None:
    """Does nothing: it is looked up by name."""


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "USER", "PASSWORD"):
        monkeypatch.delenv(f"ASPYX_EVENT_{name}", raising=False)


def test_every_key_arrives() -> None:
    """Each setting of the mapping, in capitals or not, is that of the manager which is made from it."""
    settings = Settings.from_mapping(
        {
            "URL": "local://",
            "server_name": "here",
            "PREFIX": "shop",
            "WORKERS": 3,
            "MAX_MESSAGE_SIZE": 1000,
            "STRICT": True,
            "RETRY": {"immediate": 1, "delayed": [5]},
            "REGISTER": f"{HERE}.Ledger",
            "EXCEPTION_HANDLERS": [f"{HERE}.Handlers"],
            "OBSERVERS": [f"{HERE}:observe"],
            "SEND_TIMEOUT": 2,
        }
    )
    registry = settings.make_registry()
    manager = settings.make_manager(registry)
    assert [listener.target for listener in registry.listeners] == [Ledger]
    assert manager.registry is registry
    assert manager.provider.error_queue == "shop.error"
    assert manager._settings.workers == 3
    assert manager._settings.policy == RetryPolicy(immediate=1, delayed=(5,))
    assert manager._settings.observers == (observe,)
    assert manager._settings.codec.max_message_size == 1000
    assert manager._strict
    error = ValueError("seen")
    manager._settings.exceptions.handle(error)
    assert Handlers.seen == [error]
    assert settings.send_timeout == 2.0


def test_scan_collects_a_module() -> None:
    """SCAN takes one dotted name, or a list of them, and what is decorated there is registered."""
    for scan in (HERE, [HERE], (sys.modules[HERE],)):
        registry = Settings.from_mapping({"URL": "local://", "SCAN": scan}).make_registry()
        assert [listener.name for listener in registry.listeners] == ["Ledger"]


def test_factory_makes_the_instances() -> None:
    """FACTORY is what the registry makes listeners with."""
    ready = Ledger()
    settings = Settings.from_mapping({"URL": "local://", "FACTORY": lambda cls: ready, "REGISTER": [Ledger]})
    assert settings.make_registry().instance(Ledger) is ready


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({"URL": "local://", "WORKER": 2}, "has no setting 'WORKER'; did you mean 'WORKERS'?"),
        ({"URL": "local://", "Handlers": 2}, "did you mean 'EXCEPTION_HANDLERS'?"),
        ({"URL": "local://", "QQ": 2}, "it has URL, USER,"),
        ({"URL": "local://", "url": "local://"}, "gives 'URL' twice"),
        ({}, "ASPYX_EVENT['URL'] is missing"),
        ({"URL": None}, "ASPYX_EVENT['URL'] is a NoneType: write a text"),
        ({"URL": "carrier-pigeon://"}, "no provider for the URL scheme 'carrier-pigeon'"),
        ({"URL": "local://", "WORKERS": "4"}, "ASPYX_EVENT['WORKERS'] is '4': write a whole number"),
        ({"URL": "local://", "WORKERS": True}, "write a whole number"),
        ({"URL": "local://", "STRICT": "no"}, "write True or False"),
        ({"URL": "local://", "RETRY": 3}, "write a RetryPolicy"),
        ({"URL": "local://", "RETRY": {"attempts": 3}}, "it does not know ['attempts']; it has immediate,"),
        ({"URL": "local://", "RETRY": {"delayed": 3}}, "RetryPolicy(delayed=3)"),
        ({"URL": "local://", "SCAN": [3]}, "write the dotted name"),
        ({"URL": "local://", "REGISTER": [None]}, "write a class, function or instance"),
        ({"URL": "local://", "FACTORY": 3}, "write a function"),
        ({"URL": "local://", "OBSERVERS": [3]}, "write a function of one Outcome"),
        ({"URL": "local://", "LISTEN": 1}, "write True or False"),
        ({"URL": "local://", "SEND_TIMEOUT": 0}, "write seconds, more than 0"),
        ({"URL": "local://", "PREFIX": "a b"}, "'a b'"),
        ({"URL": "local://?prefix=a", "PREFIX": "b"}, "the URL has a prefix= already"),
        ({"URL": "local://", "PASSWORD": "x"}, "there is a PASSWORD, but no USER"),
        ("local://", "ASPYX_EVENT is a str: make it a dict"),
    ],
)
def test_wrong_settings_are_named(mapping: Any, expected: str) -> None:
    """A wrong setting is one ConfigurationError that names it and says what would be right."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_mapping(mapping)
    assert expected in str(caught.value)


def test_all_problems_are_found_at_once() -> None:
    """The message is about every wrong key, and each problem knows its key."""
    settings, problems = read({"URL": "local://", "WORKERS": 0, "PREFIXES": "a"})
    assert settings is None
    assert [problem.key for problem in problems] == ["WORKERS", "PREFIXES"]


@pytest.mark.parametrize(
    "mapping",
    [
        {"URL": f"local://u:{SECRET}@x"},
        {"URL": "local://", "USER": "u", "PASSWORD": SECRET},
        {"URL": [SECRET], "PASSWORD": [SECRET], "USER": [SECRET]},
        {"URL": f"nothing://u:{SECRET}@x", "PASSWORT": SECRET},
    ],
)
def test_no_message_shows_a_password(mapping: Any) -> None:
    """Neither errors nor reprs repeat the password, wherever it stands."""
    settings, problems = read(mapping)
    assert problems
    assert "s3cret" not in f"{settings!r} {problems!r}"


def test_no_repr_shows_a_password() -> None:
    """Settings, their shown URL and the manager made from them keep the password for themselves."""
    pytest.importorskip("stomp")
    settings = Settings.from_mapping({"URL": "stomp://host:61613/", "USER": "u", "PASSWORD": SECRET, "PREFIX": "p"})
    assert settings.full_url == "stomp://u:s3cret%2Fp%40ss@host:61613/?prefix=p"
    manager = settings.make_manager(settings.make_registry())
    assert "s3cret" not in f"{settings!r} {settings.shown_url} {manager!r} {manager.describe()}"
    assert settings.shown_url == "stomp://host:61613"


def test_the_environment_completes_what_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """URL, user and password may come from the environment; what the settings say comes first."""
    monkeypatch.setenv("ASPYX_EVENT_URL", "local://from_environment")
    assert Settings.from_mapping({}).url == "local://from_environment"
    assert Settings.from_mapping({"URL": "local://own"}).url == "local://own"


@pytest.mark.parametrize("name", ["nowhere.Thing", f"{HERE}.Nothing", "Thing", f"{HERE}:"])
def test_a_name_that_leads_nowhere(name: str) -> None:
    """A dotted name that cannot be imported is a ConfigurationError that names the setting."""
    settings = Settings.from_mapping({"URL": "local://", "REGISTER": name})
    with pytest.raises(ConfigurationError, match="REGISTER"):
        settings.make_registry()


def test_local_events_are_handled_where_they_are_sent() -> None:
    """Where nothing is said, local:// listens in the sending process, and brokers do not."""
    assert Settings.from_mapping({"URL": "local://"}).listens
    assert not Settings.from_mapping({"URL": "local://", "LISTEN": False}).listens
    pytest.importorskip("stomp")
    assert not Settings.from_mapping({"URL": "stomp://localhost"}).listens
    assert Settings.from_mapping({"URL": "stomp://localhost", "LISTEN": True}).listens

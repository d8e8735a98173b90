"""ExceptionManager and @catch."""

from __future__ import annotations

import logging
from typing import Any, Optional, Union

import pytest

from aspyx_event import ConfigurationError, EventManager, ExceptionManager, Reject, Retry, catch


class Base(Exception):
    pass


class Middle(Base):
    pass


class Leaf(Middle):
    pass


class Other(Exception):
    pass


class Both(Base, Other):
    pass


class Handlers:
    def __init__(self) -> None:
        self.seen: list[str] = []

    @catch()
    def on_base(self, error: Base) -> None:
        self.seen.append("base")

    @catch()
    def on_middle(self, error: Middle) -> Optional[BaseException]:
        self.seen.append("middle")
        return ExceptionManager.proceed()

    @catch()
    def on_anything(self, error: Exception) -> None:
        self.seen.append("anything")


def managing(*objects: Any) -> ExceptionManager:
    manager = ExceptionManager()
    for obj in objects:
        manager.collect_handlers(obj)
    return manager


@pytest.mark.parametrize(
    ("error", "seen"),
    [(Base(), ["base"]), (Middle(), ["middle", "base"]), (Leaf(), ["middle", "base"]), (Other(), ["anything"])],
)
def test_the_most_specific_wins(error: Exception, seen: list[str]) -> None:
    """The handler of the nearest class in the MRO is called; ``proceed`` goes on to the next more general one."""
    handlers = Handlers()
    assert managing(handlers).handle(error) is error
    assert handlers.seen == seen


def test_no_handler() -> None:
    """Without a handler the exception comes back."""
    error = KeyboardInterrupt()
    assert managing(Handlers()).handle(error) is error


def test_replacement() -> None:
    """What a handler returns replaces the exception; what a more general one returned reaches it by proceed."""

    class Replacing:
        @catch()
        def on_base(self, error: Base) -> Exception:
            return Other("replaced")

        @catch()
        def on_leaf(self, error: Leaf) -> Any:
            inner = ExceptionManager.proceed()
            assert isinstance(inner, Other)
            return Retry(str(inner))

    manager = managing(Replacing())
    assert str(manager.handle(Base())) == "replaced"
    assert isinstance(manager.handle(Leaf()), Retry)


def test_proceed_with_another() -> None:
    """``proceed(other)`` hands another exception on."""
    seen = []

    class Changing:
        @catch()
        def on_base(self, error: Base) -> None:
            seen.append(error)

        @catch()
        def on_leaf(self, error: Leaf) -> Any:
            return ExceptionManager.proceed(Middle("changed"))

    result = managing(Changing()).handle(Leaf())
    assert str(result) == "changed"
    assert seen == [result]


def test_proceed_at_the_end() -> None:
    """``proceed`` in the most general handler returns the exception itself."""

    class Last:
        @catch()
        def on(self, error: Base) -> Any:
            assert ExceptionManager.proceed() is error

    error = Base()
    assert managing(Last()).handle(error) is error


def test_proceed_outside() -> None:
    """``proceed`` outside of a handler is refused."""
    with pytest.raises(ConfigurationError, match="inside a @catch"):
        ExceptionManager.proceed()


@pytest.mark.parametrize("signal", [Retry(), Reject("no")])
def test_signals_bypass(signal: Exception) -> None:
    """Retry and Reject reach no handler."""
    handlers = Handlers()
    assert managing(handlers).handle(signal) is signal
    assert handlers.seen == []


@pytest.mark.parametrize("raised", [ValueError("broken handler"), SystemExit(1), KeyboardInterrupt()])
def test_handler_that_raises(raised: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that raises, whatever it is, is logged by name and counts as none."""

    class Broken:
        @catch()
        def on_base(self, error: Base) -> None:
            raise raised

    error = Base()
    with caplog.at_level(logging.ERROR):
        assert managing(Broken()).handle(error) is error
    assert "on_base" in caplog.text
    assert "'Base'" in caplog.text


def test_union() -> None:
    """A union is a handler for each of its members, and called once for an exception that is both."""
    seen = []

    class Unions:
        @catch()
        def on(self, error: Union[Base, Other]) -> Any:
            seen.append(error)
            return ExceptionManager.proceed()

    manager = managing(Unions())
    errors = [Base(), Other(), Both()]
    for error in errors:
        manager.handle(error)
    assert seen == errors
    assert repr(manager) == "<ExceptionManager for Base, Other>"


def test_missing_annotation() -> None:
    """An annotation that is missing is refused, naming method and parameter."""

    class Bare:
        @catch()
        def on(self, error) -> None:  # type: ignore[no-untyped-def]
            pass

    with pytest.raises(
        ConfigurationError, match=r"Bare\.on: the annotation of 'error' is missing or cannot be resolved"
    ):
        managing(Bare())


def test_unresolvable_annotation() -> None:
    """So is one that cannot be resolved."""

    class Unresolvable:
        @catch()
        def on(self, error: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
            pass

    with pytest.raises(ConfigurationError, match="missing or cannot be resolved"):
        managing(Unresolvable())


@pytest.mark.parametrize("hint", [int, "int", Any, Union[Base, int], list[int], Optional[Base]])
def test_no_exception_class(hint: Any) -> None:
    """So is one that is no exception class."""

    class Wrong:
        def on(self, error: Any) -> None:
            pass

    Wrong.on.__annotations__["error"] = hint
    catch()(Wrong.on)
    with pytest.raises(ConfigurationError, match="is no exception class"):
        managing(Wrong())


def test_parameters() -> None:
    """A handler has one parameter."""

    class Two:
        @catch()
        def on(self, error: Base, more: int) -> None:
            pass

    with pytest.raises(ConfigurationError, match="takes 2 parameters, but one is needed"):
        managing(Two())


def test_two_handlers_for_one_class() -> None:
    """Two handlers for one class are refused, naming both; collecting one object twice changes nothing."""
    handlers = Handlers()
    manager = managing(handlers, handlers)
    assert repr(manager) == "<ExceptionManager for Exception, Base, Middle>"
    with pytest.raises(ConfigurationError, match=r"two handlers for \w+: .*Handlers\.on_\w+ and .*Handlers\.on_\w+"):
        manager.collect_handlers(Handlers())


def test_catch_misuse() -> None:
    """@catch() belongs on a method."""
    with pytest.raises(ConfigurationError, match="belongs on a method"):
        catch()(3)  # type: ignore[type-var]


def test_async_handlers_are_refused() -> None:
    """A @catch handler that is a coroutine function would never run: it is refused, and so is such an observer."""

    class Handlers:
        @catch()
        async def late(self, error: ValueError) -> None: ...

    with pytest.raises(ConfigurationError, match="async"):
        ExceptionManager().collect_handlers(Handlers())

    async def observe(outcome: object) -> None: ...

    with pytest.raises(ConfigurationError, match="observers"):
        EventManager("local://", observers=[observe])

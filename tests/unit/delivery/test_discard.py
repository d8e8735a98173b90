"""discard(), and telling dead letters of one id apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aspyx_event import ConfigurationError, EventManager, LifecycleError, LocalProvider, Outcome, Result
from tests.unit.delivery.events import Placed, listening
from tests.unit.support import Collected, managed


def failing(event: Placed) -> None:
    raise ValueError("no")


def also_failing(event: Placed) -> None:
    raise KeyError("no")


@contextmanager
def failed(*ids: str) -> Iterator[tuple[EventManager, Collected[Outcome]]]:
    """A manager whose two listeners, one and two, have failed on these events."""
    outcomes = Collected[Outcome]()
    with managed(listening(failing, "one"), listening(also_failing, "two"), observers=[outcomes]) as manager:
        for number, id in enumerate(ids):
            manager.send_event(Placed(number), id=id)
            outcomes.wait(2 * number + 2)
        yield manager, outcomes


def left(manager: EventManager) -> set[tuple[str, str]]:
    return {(letter.id, letter.listener) for letter in manager.dead_letters()}


def test_discarding() -> None:
    """A dead letter is gone, and all others stay."""
    with failed("a", "b") as (manager, _):
        for listener in ("one", "two"):
            manager.discard("a", listener=listener)
        assert left(manager) == {("b", "one"), ("b", "two")}


@pytest.mark.parametrize("listener", ["one", "two"])
def test_two_of_one_id(listener: str) -> None:
    """Of two dead letters with one id, the one of the listener that is named goes, wherever it lies."""
    other = {"one": "two", "two": "one"}[listener]
    with failed("a") as (manager, outcomes):
        manager.discard("a", listener=listener)
        assert left(manager) == {("a", other)}
        manager.replay("a", listener=other)
        outcomes.wait_until(lambda items: len(items) == 3)
        assert (outcomes.items[-1].listener, outcomes.items[-1].result) == (other, Result.DEAD_LETTERED)
        assert left(manager) == {("a", other)}


def test_a_letter_moved_aside_is_the_same() -> None:
    """The one that had to make way keeps its body, headers and error."""
    with failed("a") as (manager, _):
        before = {letter.listener: letter for letter in manager.dead_letters()}
        manager.discard("a", listener=list(before)[1])
        [letter] = manager.dead_letters()
        assert letter == before[letter.listener]


def test_what_is_not_there() -> None:
    """An unknown id, and a listener that did not fail on it, are errors; nothing is lost by the search."""
    with failed("a") as (manager, _):
        with pytest.raises(ConfigurationError, match="no event with the id 'b' in the queue 'error'"):
            manager.discard("b")
        for act in (manager.discard, manager.replay):
            with pytest.raises(ConfigurationError, match="the id 'a' that failed in listener 'three'"):
                act("a", listener="three")
        assert left(manager) == {("a", "one"), ("a", "two")}


def test_it_needs_a_manager_that_runs() -> None:
    """Before start() and after stop() nothing is discarded; without listeners of its own it is."""
    provider, outcomes = LocalProvider(), Collected[Outcome]()
    with managed(listening(failing), provider=provider, observers=[outcomes]) as first:
        first.send_event(Placed(1), id="a")
        outcomes.wait()
        operator = EventManager(provider)
        with pytest.raises(LifecycleError):
            operator.discard("a")
        operator.start(listen=False)
        operator.discard("a")
        assert left(first) == set()
        operator.stop()

"""RetryPolicy, tries in place, and the reconnect loop."""

from __future__ import annotations

import threading
from typing import Any, Callable, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import AuthenticationFailed, ConfigurationError, ProviderUnavailable, RetryPolicy
from aspyx_event import retry as retry_module
from aspyx_event.retry import Stopped, reconnecting, repeat_in_place

pauses = st.lists(st.floats(0, 1000), max_size=5).map(tuple)
policies = st.builds(
    RetryPolicy, immediate=st.integers(0, 5), immediate_wait=pauses, delayed=pauses, jitter=st.floats(0, 1)
)


def test_defaults() -> None:
    """The defaults make 12 attempts: three on the spot, four times."""
    policy = RetryPolicy()
    assert policy.max_attempts == 12
    assert [policy.on_the_spot(attempt) for attempt in range(1, 7)] == [True, True, False] * 2
    assert [policy.immediate_pause(attempt) for attempt in (1, 2, 4, 5)] == [0, 0.1, 0, 0.1]


@given(policies, st.integers(1, 100))
def test_pauses(policy: RetryPolicy, attempt: int) -> None:
    """A configured pause is a lower bound, and jitter the share on top of it."""
    pause = policy.delayed_pause(attempt)
    if not policy.delayed:
        assert pause == 0
    else:
        group = min((attempt - 1) // (policy.immediate + 1), len(policy.delayed) - 1)
        after = policy.delayed[max(0, group - (attempt % (policy.immediate + 1) != 0))] if policy.immediate else None
        assert min(policy.delayed) <= pause <= max(policy.delayed) * (1 + policy.jitter) + 1e-9
        if attempt % (policy.immediate + 1) == 0:
            configured = policy.delayed[group]
            assert configured <= pause <= configured * (1 + policy.jitter) * (1 + 1e-9)
        assert after is None or after >= 0
    if policy.on_the_spot(attempt):
        assert policy.immediate_pause(attempt) >= 0


@given(policies)
def test_attempts_add_up(policy: RetryPolicy) -> None:
    """Walking through a policy gives max_attempts tries, len(delayed) of whose pauses are in the queue."""
    in_place = sum(policy.on_the_spot(attempt) for attempt in range(1, policy.max_attempts))
    assert in_place == policy.immediate * (len(policy.delayed) + 1)
    assert policy.max_attempts - 1 - in_place == len(policy.delayed)


def test_which_errors() -> None:
    """Only ``on`` is retried, ``fatal`` never."""
    policy = RetryPolicy(on=(LookupError,), fatal=(KeyError,))
    assert policy.covers(IndexError())
    assert not policy.covers(KeyError())
    assert not policy.covers(ValueError())
    assert not RetryPolicy().covers(SystemExit())


def test_lists_are_taken() -> None:
    """Pauses may be given as a list; a policy stays immutable and hashable."""
    policy = RetryPolicy(delayed=[1, 2])
    assert policy.delayed == (1, 2)
    assert hash(policy) == hash(RetryPolicy(delayed=(1, 2)))


@pytest.mark.parametrize(
    "options",
    [
        {"immediate": -1},
        {"immediate": 1.5},
        {"immediate": "2"},
        {"immediate_wait": 1},
        {"delayed": 10},
        {"delayed": "10"},
        {"delayed": (-1,)},
        {"delayed": (float("nan"),)},
        {"delayed": (float("inf"),)},
        {"delayed": ("10",)},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"jitter": float("nan")},
        {"jitter": "0.1"},
        {"fatal": ValueError},
        {"on": [ValueError]},
        {"on": (int,)},
    ],
)
def test_impossible_values(options: dict[str, Any]) -> None:
    """Values that cannot be meant are refused by name."""
    with pytest.raises(ConfigurationError, match=rf"RetryPolicy\({next(iter(options))}="):
        RetryPolicy(**options)


class Flaky:
    """Fails a number of times, then answers 'done'."""

    def __init__(self, failures: int) -> None:
        self.calls = 0
        self.failures = failures

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise ValueError(f"failure {self.calls}")
        return "done"


def counting(limit: int, seen: list[str]) -> Callable[[BaseException], Optional[float]]:
    def again(error: BaseException) -> Optional[float]:
        seen.append(str(error))
        return 0.0 if len(seen) < limit else None

    return again


def test_repeat_until_success() -> None:
    """After a first failure, tries follow until one succeeds; each error is asked about once."""
    flaky, seen = Flaky(2), list[str]()
    assert repeat_in_place(flaky, ValueError("first"), again=counting(9, seen), stop=threading.Event()) == "done"
    assert seen == ["first", "failure 1", "failure 2"]


def test_repeat_until_enough() -> None:
    """When ``again`` has had enough, its error is raised, unchanged."""
    flaky, seen = Flaky(9), list[str]()
    with pytest.raises(ValueError, match="failure 2"):
        repeat_in_place(flaky, ValueError("first"), again=counting(3, seen), stop=threading.Event())
    assert flaky.calls == 2


def test_repeat_stops() -> None:
    """A stop that is set cuts the pause short, makes no further try, and raises the last error."""
    stop, flaky = threading.Event(), Flaky(0)

    def again(error: BaseException) -> float:
        threading.Timer(0, stop.set).start()
        return 3600.0

    with pytest.raises(ValueError, match="first"):
        repeat_in_place(flaky, ValueError("first"), again=again, stop=stop)
    assert flaky.calls == 0


def test_repeat_with_stop_set() -> None:
    """With a stop that is set from the beginning nothing is asked and nothing is tried."""
    stop, flaky, seen = threading.Event(), Flaky(0), list[str]()
    stop.set()
    with pytest.raises(ValueError, match="first"):
        repeat_in_place(flaky, ValueError("first"), again=counting(9, seen), stop=stop)
    assert (flaky.calls, seen) == (0, [])


def test_repeat_and_base_exceptions() -> None:
    """SystemExit is an error like any other here."""

    def leave() -> None:
        raise SystemExit(2)

    with pytest.raises(SystemExit):
        repeat_in_place(
            leave, ValueError(), again=lambda e: 0.0 if isinstance(e, ValueError) else None, stop=threading.Event()
        )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_module, "RECONNECT_INITIAL", 0.0001)
    monkeypatch.setattr(retry_module, "RECONNECT_MAXIMUM", 0.001)


@pytest.mark.usefixtures("quick")
def test_reconnecting() -> None:
    """The reconnect loop tries until it succeeds, and reports each failure with the pause that follows."""
    heard: list[tuple[str, float]] = []
    flaky = Flaky(20)
    result = reconnecting(flaky, stop=threading.Event(), on_failure=lambda e, pause: heard.append((str(e), pause)))
    assert result == "done"
    assert [text for text, _ in heard] == [f"failure {n}" for n in range(1, 21)]
    assert all(0 <= pause <= 0.001 for _, pause in heard)


def test_reconnecting_has_full_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses grow from 0.5 s to 30 s, each a random share of its bound."""
    monkeypatch.setattr("tenacity.sleep_using_event", lambda event: lambda seconds: None)
    heard: list[float] = []
    reconnecting(Flaky(40), stop=threading.Event(), on_failure=lambda e, pause: heard.append(pause))
    for number, pause in enumerate(heard):
        assert 0 <= pause <= min(30.0, 0.5 * 2**number)
    assert max(heard) > 5


@pytest.mark.usefixtures("quick")
def test_reconnecting_final() -> None:
    """An error that is final is raised at once."""
    calls: list[int] = []

    def connect() -> None:
        calls.append(1)
        raise AuthenticationFailed("wrong password")

    with pytest.raises(AuthenticationFailed):
        reconnecting(connect, stop=threading.Event(), on_failure=lambda e, pause: None, final=(AuthenticationFailed,))
    assert len(calls) == 1


def test_reconnecting_stops() -> None:
    """A stop ends the pause, and raises Stopped; set from the beginning, nothing is tried."""
    stop = threading.Event()

    def connect() -> None:
        raise ProviderUnavailable("down")

    with pytest.raises(Stopped):
        reconnecting(connect, stop=stop, on_failure=lambda e, pause: threading.Timer(0, stop.set).start() or None)
    with pytest.raises(Stopped):
        reconnecting(lambda: pytest.fail("tried"), stop=stop, on_failure=lambda e, pause: None)

"""Waiting for a future in the main thread, and futures that make their Condition late."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from concurrent.futures import CancelledError, Future, InvalidStateError, as_completed, wait
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Callable

import pytest

from aspyx_event.providers.network.futures import Answer, awaited, fail, resolve


def _fail(answer: Answer) -> None:
    fail(answer, ValueError("no"))


ENDS: list[Callable[[Answer], Any]] = [resolve, _fail, Answer.cancel]
OUTCOMES = ["answered", "ValueError", "CancelledError"]


def _outcome(answer: Answer, timeout: float | None = 30) -> str:
    try:
        answer.result(timeout)
    except (ValueError, CancelledError) as error:
        return type(error).__name__
    return "answered"


def _until_asleep(answer: Answer, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(answer._sleepers) < count and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    assert len(answer._sleepers) == count


class Heard(Exception):
    """Raised by the signal handler of this test."""


def test_a_signal_that_another_thread_gets() -> None:
    """A signal that does not wake the waiting main thread is handled long before its timeout."""

    def handle(number: int, _frame: Any) -> None:
        raise Heard(number)

    def interrupt() -> None:
        threading.Event().wait(0.2)  # until the main thread waits
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    thread = threading.Thread(target=interrupt, name="interrupter")
    started = time.monotonic()
    try:
        thread.start()
        with pytest.raises(Heard):
            awaited(Future(), 40)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - started < 20


def test_results_and_timeouts() -> None:
    """It answers the result, raises the error of the future, even one that is a timeout, or its own timeout."""
    future: Future[int] = Future()
    with pytest.raises(FutureTimeout):
        awaited(future, 0.01)
    threading.Timer(0.05, future.set_result, [7]).start()
    assert awaited(future, None) == 7
    failed: Future[int] = Future()
    failed.set_exception(FutureTimeout("its own"))
    with pytest.raises(FutureTimeout, match="its own"):
        awaited(failed, 30)


def _first_set() -> Answer:
    answer = Answer()
    answer.set_result(None)
    return answer


def _set_later() -> Answer:
    answer = Answer()
    assert not answer.done()
    assert answer._condition  # a waiter was here
    answer.set_result(None)
    return answer


def test_attributes_of_an_answer() -> None:
    """An Answer has all attributes that this Python's Future has, the Condition when somebody asks for it."""
    answer = Answer()
    assert vars(answer) == {}
    assert set(vars(Future())) == {*Answer.__slots__, "_condition"} - {"_lock", "_made", "_sleepers"}
    assert answer._made is None
    assert type(answer._condition) is type(vars(Future())["_condition"])
    assert answer._condition is answer._condition is answer._made


@pytest.mark.parametrize("end", ENDS)
def test_no_condition(end: Callable[[Answer], Any]) -> None:
    """To be called, to wait, to ask and to be answered takes no Condition; whatever the end, all hear of it."""
    answer, called = Answer(), []
    answer.add_done_callback(called.append)
    answer.add_done_callback(lambda answer: called.append(answer.done()))
    assert (answer.done(), answer.cancelled()) == (False, False)
    waiter = threading.Thread(target=lambda: called.append(_outcome(answer)))
    waiter.start()
    _until_asleep(answer, 1)
    end(answer)
    waiter.join(30)
    assert called[:2] == [answer, True]
    assert (answer.done(), answer.cancelled()) == (True, end is Answer.cancel)
    assert called[2:] == [_outcome(answer)] == [OUTCOMES[ENDS.index(end)]]
    if end is resolve:
        assert answer._made is None


def test_a_callback_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the others are called."""

    def bad(_answer: Any) -> None:
        raise ValueError("bad")

    answer, called = Answer(), []
    answer.add_done_callback(bad)
    answer.add_done_callback(called.append)
    answer.set_result(None)
    answer.add_done_callback(bad)
    assert called == [answer]
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["bad", "bad"]


@pytest.mark.parametrize("make", [_first_set, _set_later])
def test_answered(make: Callable[[], Answer]) -> None:
    """Answered before or after anybody asked, it behaves as a Future: once, and not cancelled any more."""
    answer = make()
    assert answer.done()
    assert not answer.running()
    assert not answer.cancelled()
    assert not answer.cancel()
    assert answer.result(0) is None
    assert answer.exception(0) is None
    with pytest.raises(InvalidStateError):
        answer.set_result(None)
    with pytest.raises(InvalidStateError):
        answer.set_exception(ValueError())
    called: list[Any] = []
    answer.add_done_callback(called.append)
    assert called == [answer]
    assert wait([answer], 0).done == {answer}
    assert list(as_completed([answer], 0)) == [answer]


def test_failed_and_cancelled() -> None:
    """What fails raises its error, what is cancelled cannot be answered, and both tell those who asked to be called."""
    failed, cancelled = Answer(), Answer()
    called: list[Any] = []
    for answer in (failed, cancelled):
        answer.add_done_callback(called.append)
    fail(failed, ValueError("no"))
    assert cancelled.cancel()
    resolve(cancelled)
    assert called == [failed, cancelled]
    assert (failed.done(), failed.cancelled(), cancelled.done(), cancelled.cancelled()) == (True, False, True, True)
    with pytest.raises(ValueError, match="no"):
        failed.result(0)
    with pytest.raises(CancelledError):
        cancelled.result(0)
    with pytest.raises(FutureTimeout):
        Answer().result(0.01)


def test_an_answer_in_a_loop() -> None:
    """A coroutine can wait for it."""

    async def waiting() -> None:
        answer = Answer()
        wrapped = asyncio.wrap_future(answer)
        threading.Thread(target=resolve, args=(answer,)).start()
        await asyncio.wait_for(wrapped, 30)

    asyncio.run(waiting())


@pytest.mark.parametrize("asked", [False, True], ids=["nobody asked for the Condition", "somebody did"])
@pytest.mark.parametrize("end", ENDS)
def test_whatever_the_end(end: Callable[[Answer], Any], asked: bool) -> None:
    """Who waits without a limit is woken by an answer, an error and a cancellation, and so are all others who wait."""
    answer = Answer()
    if asked:
        assert answer._condition
    heard: list[str] = []
    called: list[Answer] = []
    answer.add_done_callback(called.append)
    works = [
        lambda: heard.append(_outcome(answer, None)),
        lambda: heard.append(_outcome(answer, 60)),
        lambda: heard.append(_outcome(answer, threading.TIMEOUT_MAX * 2)),
    ]
    waiters = [threading.Thread(target=work) for work in works]
    for waiter in waiters:
        waiter.start()
    _until_asleep(answer, 3)
    end(answer)
    for waiter in waiters:
        waiter.join(30)
    assert heard == [OUTCOMES[ENDS.index(end)]] * 3
    assert answer._sleepers == ()
    assert called == [answer]


def test_time_is_over() -> None:
    """Who waits in vain gets a timeout, at once for none or a negative one, and can ask again afterwards."""
    answer = Answer()
    for timeout in (0.01, 0, -1):
        with pytest.raises(FutureTimeout):
            answer.result(timeout)
    resolve(answer)
    answer.result(0)


def _answer_beside(answers: list[Answer], *works: Callable[[], None]) -> None:
    """Answer all while threads do these works, and wait for them."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for answer in answers:
        answer.set_result(None)
    for thread in threads:
        thread.join(60)


def test_no_wake_up_is_lost() -> None:
    """However the waiter and the one who answers meet, the waiter hears of it."""
    answers = [Answer() for _ in range(5000)]
    heard: list[Answer] = []

    def wait_for_all() -> None:
        for answer in answers:
            answer.result(30)
            heard.append(answer)

    _answer_beside(answers, wait_for_all, wait_for_all)
    assert len(heard) == 2 * len(answers)


def test_no_call_is_lost() -> None:
    """However those who want to be called, who ask for the Condition and who answer meet, each is called once."""
    answers = [Answer() for _ in range(3000)]
    called: list[Answer] = []

    def ask_for_all() -> None:
        for answer in answers:
            answer.add_done_callback(called.append)

    def look_at_all() -> None:
        for answer in answers[::2]:
            assert answer._condition

    _answer_beside(answers, ask_for_all, ask_for_all, look_at_all)
    assert len(called) == 2 * len(answers)
    assert wait(answers, 30).done == set(answers)


def test_answered_and_cancelled_at_once() -> None:
    """However an answer, a cancellation and two waiters meet, each waiter hears one of the two, and nothing else."""
    answers = [Answer() for _ in range(2000)]
    heard: list[str] = []

    def wait_for_all() -> None:
        for answer in answers:
            try:
                answer.result(30)
                heard.append("answered")
            except CancelledError:
                heard.append("cancelled")

    def for_all(end: Callable[[Answer], Any]) -> None:
        for answer in answers:
            end(answer)
        heard.append("ended")

    works = [wait_for_all, wait_for_all, lambda: for_all(resolve), lambda: for_all(Answer.cancel)]
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(heard) == 2 * len(answers) + 2
    assert heard.count("ended") == 2
    assert heard.count("cancelled") == 2 * sum(answer.cancelled() for answer in answers)

"""Hostile messages on every pair: each ends handled or in the error queue, and nothing else happens."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("proton")
pytest.importorskip("stomp")

from aspyx_event import ConfigurationError, DeadLetter
from tests.faults.hostile import amqp_corpus, bodies, headers, stomp_corpus
from tests.faults.hostile.bench import PATIENCE, TAKEN, Bench, dead_by_serial
from tests.faults.hostile.message import CANARY, SECRET, Body, Hostile, kinds
from tests.faults.load.process import Usage
from tests.faults.pairs import Pair

MADE_UP, MUTATED, BROKEN = 250, 1400, 60
GROWTH = 250.0
"""MiB that a test's process may grow by: its own copies of all messages and dead letters are among them."""

KEPT_BY_THE_BROKER = (
    "AMQP field: expired", "AMQP header: time to live", "AMQP annotation: x-opt-delivery",
    "STOMP lines: an expiry in the past", "STOMP lines: a time to live", "STOMP lines: a transaction",
)  # fmt: skip
"""What a broker takes and need not deliver: it has expired, is scheduled for a time far away, or waits for a COMMIT."""
CUT_AT_A_NUL = ("NUL", "\\x00", "a frame in", "two frames")
"""STOMP frames that end where the broker, by the protocol, finds a NUL: what arrives is another message."""


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that messages name; who imports it leaves a file."""
    trace = tmp_path / "imported"
    (tmp_path / f"{CANARY}.py").write_text(f"open({str(trace)!r}, 'w').close()\ndef run(*_): pass\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield trace
    assert not trace.exists(), "a message had a module imported"
    assert CANARY not in sys.modules


@pytest.fixture
def bench(pair: Pair, canary: Path) -> Iterator[Bench]:
    """Listeners that have handled one good and one bad message already, so that everything is loaded."""
    with Bench(pair) as made:
        made.send(good(made, 1))
        made.send(list(corpus(pair).with_bodies([Body("warming: no JSON", b"x")])))
        assert made.wait_settled(2)
        assert letters_of(made, 1)
        yield made


def corpus(pair: Pair) -> Any:
    """The module that makes messages for the pair's protocol."""
    return amqp_corpus if pair.protocol == "amqp" else stomp_corpus


def good(bench: Bench, count: int) -> list[Hostile]:
    """Messages that must be handled."""
    return list(corpus(bench.pair).with_bodies([Body("good: one", bodies.GOOD)] * count))


def letters_of(bench: Bench, count: int) -> list[DeadLetter]:
    """The dead letters, as soon as there are so many."""
    pause = threading.Event()
    letters: list[DeadLetter] = []
    for _ in range(60):
        letters = list(bench.manager.dead_letters())
        if len(letters) >= count:
            break
        pause.wait(0.5)
    return letters


def exempt(message: Hostile, starts: Sequence[str]) -> bool:
    """Whether a message's kind is one of these."""
    return message.kind.startswith(tuple(starts))


def is_cut(bench: Bench, message: Hostile) -> bool:
    """Whether a STOMP broker reads another message than was meant."""
    return bench.pair.protocol == "stomp" and any(mark in message.kind for mark in CUT_AT_A_NUL)


def account(bench: Bench) -> tuple[list[DeadLetter], list[Hostile]]:
    """The dead letters, and the messages that are neither handled nor among them after all patience."""
    taken = [bench.sent[serial] for serial in sorted(bench.taken)]
    wanted = [m for m in taken if not is_cut(bench, m) and not exempt(m, KEPT_BY_THE_BROKER)]
    deadline = time.monotonic() + PATIENCE
    while True:
        bench.wait_quiet()  # which a broker may be for a while on a busy machine
        letters = letters_of(bench, bench.results["dead_lettered"])
        found = set(bench.handled) | set(dead_by_serial(letters))
        missing = [message for message in wanted if message.serial not in found]
        if not missing or time.monotonic() > deadline:
            return letters, missing


def check(bench: Bench, messages: Iterable[Hostile], canary: Path) -> list[DeadLetter]:
    """Send them all, and hold everything against the promise. Answers the dead letters."""
    modules, before = set(sys.modules), Usage.now().rss
    sent = list(messages)
    bench.send(sent)
    last = good(bench, 3)
    bench.send(last)
    letters, missing = account(bench)
    dead = dead_by_serial(letters)
    assert not missing, f"{len(missing)} are neither handled nor in the error queue: {missing[:5]}"
    assert all(bench.handled[message.serial] for message in last), "the listener goes on"
    assert bench.manager.health().ready

    assert not bench.problems, bench.problems
    assert not [line for line in bench.records.texts if "Traceback" in line], "something of ours failed"
    assert not bench.disturbed, "another listener got something"
    check_dead_letters(bench, dead)
    check_secrets(bench, letters)
    assert not canary.exists()
    loaded = {name for name in set(sys.modules) - modules if not name.startswith("encodings.")}
    assert not loaded, f"these modules were imported: {sorted(loaded)}"

    letters_count, handled = len(letters), len(set(bench.handled) & {message.serial for message in sent})
    gc.collect()
    growth = Usage.now().rss - before
    bench.report(
        f"{len(sent)} messages of {kinds(sent)}; handled {handled}, in the error queue {letters_count}, "
        f"turned away by the broker {sum(bench.turned_away.values())}, memory {growth:+.0f} MiB"
    )
    assert growth < GROWTH, f"{growth:.0f} MiB"
    return letters


def check_dead_letters(bench: Bench, dead: dict[str, DeadLetter]) -> None:
    """Each tells its own queue and one attempt, and holds the bytes that were sent."""
    for serial, letter in dead.items():
        message = bench.sent.get(serial)
        if message is None or is_cut(bench, message):
            continue
        assert letter.listener == "Taking", message
        assert letter.queue.startswith(f"{bench.name}::"), message
        assert letter.reason in ("decode", "unknown_event", "crashed"), message
        assert letter.time.endswith("Z"), message
        if message.body is not None and not letter.error_message.startswith("the body cannot be read: no AMQP message"):
            assert letter.body == message.body, f"{message} came out as {letter.body[:200]!r}"


def check_secrets(bench: Bench, letters: list[DeadLetter]) -> None:
    """Neither what was in bodies nor the password stands in a log line or an error header; no line is long."""
    for line in bench.records.texts:
        assert SECRET not in line
        assert bench.pair.broker.password not in line
        assert len(line) < 2000, line[:3000]
    for letter in letters:
        for text in (letter.error_message, letter.error_stack, letter.error_type, letter.reason):
            assert SECRET not in text, text
            assert bench.pair.broker.password not in text
        assert len(letter.error_message.encode()) <= 2048
        assert len(letter.error_stack.encode()) <= 16 * 1024


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_bodies(bench: Bench, canary: Path) -> None:
    """JSON that is cut at every byte, spoilt, deep, huge, or anything else is handled or in the error queue."""
    found = [*bodies.by_hand(), *bodies.cut(), *bodies.spoilt(), *bodies.made_up(MADE_UP)]
    found += bodies.mutated(MUTATED, seed=7)
    letters = check(bench, corpus(bench.pair).with_bodies(found), canary)
    assert {letter.reason for letter in letters} == {"decode"}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_headers(bench: Bench, canary: Path) -> None:
    """Forged bookkeeping, forged CloudEvents and the brokers' own names do no harm, and lead nowhere else."""
    sets = [
        *headers.by_hand(bench.queues, bench.other_name),
        *headers.brokers_own("x"),
        *headers.made_up(MADE_UP),
    ]
    letters = check(bench, corpus(bench.pair).with_headers(sets), canary)
    for letter in letters:
        if letter.reason == "unknown_event":
            bench.manager.replay(letter.id)  # to its own queue, where it fails again
            break
    bench.wait_quiet()
    assert not bench.disturbed


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_shapes(bench: Bench, canary: Path) -> None:
    """Messages and frames whose form is odd or broken are handled, in the error queue, or turned away by the broker."""
    made = corpus(bench.pair).by_hand()
    if bench.pair.protocol == "amqp":
        made += amqp_corpus.broken(BROKEN, seed=5)
    check(bench, made, canary)


@pytest.mark.timeout(300)
def test_a_forged_dead_letter_is_sent_nowhere(bench: Bench) -> None:
    """What somebody wrote into the error queue is replayed into no queue but that of the listener it names."""
    other = bench.queues[0]
    claims = [(queue, "Taking") for queue in bench.queues] + [(other, "nobody"), (other, "x" * 3000)]
    sets: list[tuple[str, dict[str, str]]] = [
        ("letter", {"ev_error_queue": queue, "ev_error_listener": listener, "cloudEvents_id": f"forged-{number}"})
        for number, (queue, listener) in enumerate(claims)
        if "\0" not in queue
    ]
    sender = type(bench.sender)(bench.pair, queue=bench.manager.provider.error_queue)
    try:
        sent = list(corpus(bench.pair).with_headers(sets))
        assert set(sender.send(sent).values()) <= set(TAKEN)
    finally:
        sender.close()
    letters = letters_of(bench, 1 + len(sets))
    ids = {letter.id for letter in letters}
    assert ids >= {forged["cloudEvents_id"] for _, forged in sets}
    for _, forged in sets:
        with pytest.raises(ConfigurationError, match=r"no listener of this registry reads|the headers are forged"):
            bench.manager.replay(forged["cloudEvents_id"], timeout=60)
    assert not bench.disturbed
    own = next(letter for letter in letters if letter.listener == "Taking" and letter.reason)
    bench.manager.replay(own.id, timeout=60)
    assert bench.wait_settled(3)
    assert {letter.id for letter in letters_of(bench, len(letters))} == ids

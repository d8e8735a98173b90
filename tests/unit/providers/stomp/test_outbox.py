"""What waits to be written."""

from __future__ import annotations

import threading
import time

from aspyx_event.providers.stomp.outbox import Outbox

PATIENCE = 30.0


def test_frames_come_out_in_order_and_together() -> None:
    """What was put is taken as one piece, in the order of each thread, and no frame waits for the next one."""
    outbox, count, threads = Outbox(), 2000, 4

    def put(number: int) -> None:
        for turn in range(count):
            outbox.put(b"%d:%d\n" % (number, turn))

    putting = [threading.Thread(target=put, args=(number,)) for number in range(threads)]
    for thread in putting:
        thread.start()
    taken: list[tuple[int, int]] = []
    until = time.monotonic() + PATIENCE
    while len(taken) < threads * count and time.monotonic() < until:
        for line in outbox.take(PATIENCE).splitlines():
            number, turn = line.split(b":")
            taken.append((int(number), int(turn)))
    for thread in putting:
        thread.join()
    for number in range(threads):
        assert [turn for who, turn in taken if who == number] == list(range(count))


def test_one_frame_wakes_who_waits() -> None:
    """A lone frame is taken long before the time is over, each time."""
    outbox, taken = Outbox(), []
    ready, done = threading.Semaphore(0), threading.Event()

    def take() -> None:
        for _ in range(200):
            ready.release()
            taken.append(outbox.take(PATIENCE))
        done.set()

    thread = threading.Thread(target=take)
    thread.start()
    for _ in range(200):
        assert ready.acquire(timeout=PATIENCE)
        outbox.put(b"x")
    assert done.wait(PATIENCE)
    thread.join()
    assert taken == [b"x"] * 200


def test_a_wake_ends_waiting() -> None:
    """``wake`` ends one ``take``: the one that waits, or the next."""
    outbox = Outbox()
    outbox.wake()
    assert outbox.take(PATIENCE) == b""
    assert outbox.take(0.0) == b""
    waking = threading.Timer(0.05, outbox.wake)
    waking.start()
    began = time.monotonic()
    assert outbox.take(PATIENCE) == b""
    assert time.monotonic() - began < PATIENCE
    waking.join()

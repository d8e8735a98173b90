"""Ids and times of events."""

from __future__ import annotations

import os
import re
import time
import uuid
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from aspyx_event.delivery import stamps

_MANY = 5000


def test_ids_are_random_uuids() -> None:
    """An id is a UUID of version 4 in its usual form, and every bit that may differ does."""
    found = [stamps.new_id() for _ in range(_MANY)]
    made = [uuid.UUID(text) for text in found]
    assert [str(one) for one in made] == found
    assert {(one.version, one.variant) for one in made} == {(4, uuid.RFC_4122)}
    ones = [sum(one.int >> bit & 1 for one in made) for bit in range(128)]
    fixed = [bit for bit, count in enumerate(ones) if count in (0, _MANY)]
    assert fixed == [62, 63, 76, 77, 78, 79]  # the variant and the version


def test_ids_of_threads() -> None:
    """Threads that ask at once never get the same id."""
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda _: [stamps.new_id() for _ in range(_MANY)], range(8)))
    assert len({id for part in parts for id in part}) == 8 * _MANY


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_ids_after_a_fork() -> None:
    """Parent and child give different ids, although the parent had some in stock."""
    stamps.new_id()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12 and newer while other threads run
        child = os.fork()
    if not child:
        try:
            os.write(writing, "".join(stamps.new_id() for _ in range(100)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    theirs = re.findall(".{36}", text)
    assert len(theirs) == 100
    assert not {stamps.new_id() for _ in range(600)} & set(theirs)


def test_time() -> None:
    """The time is that of now, in UTC, with microseconds, in this second and the next."""
    before = datetime.now(timezone.utc)
    texts = [stamps.time_text()]
    while texts[-1][:19] == texts[0][:19] and time.time() < before.timestamp() + 5:
        texts.append(stamps.time_text())
    after = datetime.now(timezone.utc)
    assert texts[-1][:19] != texts[0][:19]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text) for text in texts)
    times = [datetime.fromisoformat(text[:-1] + "+00:00") for text in texts]
    assert times == sorted(times)
    assert before - timedelta(microseconds=1) <= times[0] <= times[-1] <= after

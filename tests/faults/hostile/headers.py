"""Headers that nobody of us wrote: forged bookkeeping, forged CloudEvents, and names that brokers use themselves."""

from __future__ import annotations

import functools

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.faults.hostile.message import CANARY

Headers = dict[str, str]

ATTEMPTS = (
    "-1",
    "0",
    "",
    " ",
    "x",
    "1.5",
    "1e9",
    "+1",
    "0x10",
    "1_000",
    "1000000000",
    "1" + "0" * 30,
    "٣",
    "²",
    "\u0000",
)
PATHS = (CANARY, f"{CANARY}:run", f"{CANARY}.Thing", "os:system", "../../etc/passwd", "__import__('os')")
TIMES = ("", "nonsense", "0", "-1", "9" * 400, "NaN", "2026-13-99T99:99:99Z", "+292278994-08-17T07:12:55Z", "1e999")

_ERROR_HEADERS = {
    "ev_error_type": f"{CANARY}.Thing",
    "ev_error_message": "forged",
    "ev_error_stack": "forged\nstack",
    "ev_error_time": "yesterday",
    "ev_error_listener": "nobody",
    "ev_error_attempts": "-5",
    "ev_error_reason": "bliss",
    "ev_error_host": "elsewhere",
    "ev_error_pid": "x",
}


def by_hand(queues: tuple[str, ...], other_event: str) -> list[tuple[str, Headers]]:
    """Forged headers, each set with its kind. ``queues``: those that an error queue header should not lead to."""
    found: list[tuple[str, Headers]] = [
        (f"forged: attempt {value[:12]!r}", {"ev_attempt": value}) for value in ATTEMPTS
    ]
    found += [("forged: error headers", dict(_ERROR_HEADERS))]
    found += [(f"forged: error queue {queue[:30]!r}", {**_ERROR_HEADERS, "ev_error_queue": queue}) for queue in queues]
    found += [(f"forged: error queue alone {queue[:30]!r}", {"ev_error_queue": queue}) for queue in queues]
    found += [(f"forged: type {path!r}", {"cloudEvents_type": path, "ev_error_type": path}) for path in PATHS]
    found += [
        ("forged: another event's type", {"cloudEvents_type": other_event}),
        ("forged: an event's type and id", {"cloudEvents_type": other_event, "cloudEvents_id": "forged-id"}),
        ("forged: empty id", {"cloudEvents_id": ""}),
        ("forged: blank id", {"cloudEvents_id": "  "}),
        ("forged: id with lines", {"cloudEvents_id": "a\nERROR forged log line\r\n\tb"}),
        ("forged: id with quotes", {"cloudEvents_id": "a' OR '1'='1"}),
        ("forged: id with terminal codes", {"cloudEvents_id": "\x1b[2J\x1b[31mred"}),
        ("forged: id of 60 KB", {"cloudEvents_id": "i" * 60_000}),
        ("forged: specversion", {"cloudEvents_specversion": "99.9"}),
        ("forged: key", {"cloudEvents_partitionkey": "k" * 5000}),
        ("forged: empty key", {"cloudEvents_partitionkey": ""}),
        ("forged: traceparent", {"cloudEvents_traceparent": "00-zz-zz-zz"}),
        ("forged: both prefixes", {"cloudEvents:id": "c1", "cloudEvents_id": "u1", "cloudEvents:": "x"}),
        ("forged: hidden bookkeeping", {"ev_header_ev_attempt": "9", "ev_header_ev_error_queue": queues[0]}),
        ("forged: hidden twice", {"ev_header_ev_header_ack": "x", "ev_header_ack": "y", "ev_header_": "z"}),
        ("forged: expiry", {"ev_expires": "x"}),
        ("forged: prefixes alone", {"ev_": "1", "ev_error_": "2", "cloudEvents_": "3"}),
    ]  # fmt: skip
    found += [(f"forged: time {value[:20]!r}", {"cloudEvents_time": value}) for value in TIMES]
    found += [(f"forged: expiry {value[:20]!r}", {"ev_expires": value}) for value in ("", "-1", "1e9", "9" * 30, "٣")]
    return found


BROKERS_OWN = (
    "_AMQ_DUPL_ID", "_AMQ_GROUP_ID", "_AMQ_ORIG_QUEUE", "_AMQ_SCHED_DELIVERY", "_AMQ_LVQ_NAME", "_AMQ_LARGE_SIZE",
    "AMQ_SCHEDULED_DELAY", "AMQ_SCHEDULED_CRON", "JMSXGroupID", "JMSXDeliveryCount", "JMSType", "JMSMessageID",
    "NATIVE_MESSAGE_ID", "x-opt-delivery-delay", "x-death", "x-first-death-queue", "x-last-death-reason",
    "x-last-death-queue", "x-delivery-count", "x-message-ttl", "x-expires", "CC", "BCC", "transformation",
    "subscription-type", "selector", "type", "user-id", "app-id", "correlation-id", "reply-to", "redelivered",
)  # fmt: skip


def brokers_own(serial: str) -> list[tuple[str, Headers]]:
    """Headers that mean something to a broker, one at a time, each with a value that makes little sense."""
    return [(f"broker's own: {name}", {name: f"x{serial}"}) for name in BROKERS_OWN]


@functools.cache
def made_up(count: int) -> tuple[tuple[str, Headers], ...]:
    """By hypothesis: our names and any others, with any text."""
    names = st.sampled_from([
        "ev_attempt", "ev_error_queue", "ev_error_reason", "ev_error_attempts", "ev_header_x", "ev_x", "cloudEvents_id",
        "cloudEvents_type", "cloudEvents_source", "cloudEvents_time", "cloudEvents_partitionkey", "cloudEvents:subject",
        "cloudEvents_specversion", "tenant",
    ])  # fmt: skip
    texts = (
        st.text(max_size=30) | st.integers().map(str) | st.sampled_from(["\r\n", "a:b", "\\n", "\\x", "\x7f\x1b", "é☃"])
    )
    sets = st.dictionaries(names | st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), texts, max_size=5)
    found: list[tuple[str, Headers]] = []

    @settings(
        max_examples=count, database=None, derandomize=True, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(sets)
    def collect(headers: Headers) -> None:
        found.append(("random: headers", headers))

    collect()
    return tuple(found)

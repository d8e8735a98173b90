"""Bodies that are no JSON, hardly JSON, or JSON that somebody made to hurt."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

from hypothesis import strategies as st

from tests.faults.hostile.message import CANARY, SECRET, Body, generated

LIMIT = 256 * 1024
"""max_message_size of the listeners' manager."""

GOOD = json.dumps(
    {"id": 7, "note": SECRET + "é\u2603\U0001f600", "price": -1.5e3, "at": "2026-01-01T00:00:00Z",
     "tags": ["a", "b\\\n"], "more": {"deep": [1, {"x": None}], "t": True}},
    ensure_ascii=False,
).encode()  # fmt: skip


def _note(text: str) -> bytes:
    return b'{"id": 1, "note": "' + SECRET.encode() + b" " + text.encode("utf-8", "surrogatepass") + b'"}'


def _sized(size: int) -> bytes:
    start, end = b'{"id": 1, "note": "' + SECRET.encode(), b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


def _more(text: bytes) -> bytes:
    return b'{"id": 1, "more": ' + text + b"}"


_DEEP = 100_000
_BY_HAND: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\t ",
    "NUL alone": b"\0",
    "NUL behind": b'{"id": 1}\0',
    "NUL inside": b'{"id": 1, "note": "a\0b"}',
    "NUL escaped": _note("\\u0000"),
    "BOM": b'\xef\xbb\xbf{"id": 1}',
    "UTF-16": '{"id": 1}'.encode("utf-16"),
    "UTF-32": '{"id": 1}'.encode("utf-32"),
    "UTF-7": b"+AHsAIg-id+ACIAOg-1+AH0-",
    "Latin-1": '{"id": 1, "note": "é"}'.encode("latin-1"),
    "overlong UTF-8": b'{"id": 1, "note": "\xc0\xaf\xe0\x80\xaf"}',
    "a surrogate in UTF-8": _note("\ud800"),
    "a leading surrogate": _note("\\ud800"),
    "a trailing surrogate": _note("\\udfff"),
    "surrogates the wrong way": _note("\\udfff\\ud800"),
    "half a surrogate escape": _note("\\ud83d\\u00"),
    "a pair of surrogates": _note("\\ud83d\\ude00"),
    "an unknown escape": _note("\\x41"),
    "NaN": b'{"id": NaN}',
    "NaN as price": b'{"id": 1, "price": NaN}',
    "Infinity": b'{"id": 1, "price": Infinity}',
    "-Infinity": b'{"id": 1, "price": -Infinity, "more": NaN}',
    "minus zero": b'{"id": -0, "price": -0.0}',
    "1e400": b'{"id": 1, "price": 1e400}',
    "1e400 as id": b'{"id": 1e400}',
    "-1e-400": b'{"id": 1, "price": -1e-400}',
    "an exponent of 20 digits": b'{"id": 1, "price": 1e99999999999999999999}',
    "2**64": b'{"id": 18446744073709551616}',
    "4301 digits": b'{"id": ' + b"9" * 4301 + b"}",
    "4300 digits anywhere": _more(b"9" * 4300),
    "a million digits": b'{"id": ' + b"9" * 1_000_000 + b"}",
    "200000 digits": b'{"id": ' + b"9" * 200_000 + b"}",
    "200000 digits anywhere": _more(b"9" * 200_000),
    "200000 digits of a fraction": _more(b"0." + b"9" * 200_000),
    "a leading zero": b'{"id": 007}',
    "hexadecimal": b'{"id": 0x7}',
    "a plus": b'{"id": +7}',
    "single quotes": b"{'id': 7}",
    "a comment": b'{"id": 7 /* seven */}',
    "a comma too many": b'{"id": 7,}',
    "two values": b'{"id": 7} {"id": 8}',
    "an array": b"[7]",
    "a string": b'"7"',
    "a number": b"7",
    "null": b"null",
    "true": b"true",
    "null as id": b'{"id": null}',
    "true as id": b'{"id": true}',
    "a fraction as id": b'{"id": 1.5}',
    "a list as id": b'{"id": [1]}',
    "duplicate keys": b'{"id": 1, "id": 2, "note": "a", "note": "' + SECRET.encode() + b'"}',
    "duplicate keys of two types": b'{"id": 1, "id": "no number"}',
    "no fields": b"{}",
    "unknown fields": b'{"id": 1, "' + SECRET.encode() + b'": 1, "__class__": "os.system", "__init__": {"a": 1}}',
    "an empty key": b'{"": 1, "id": 1}',
    "a key of 200 KB": b'{"' + b"k" * 200_000 + b'": 1, "id": 1}',
    "a key of 200 KB in a map": b'{"id": 1, "counts": {"' + SECRET.encode() * 15_000 + b'": "no number"}}',
    "a secret key in a map": b'{"id": 1, "counts": {"' + SECRET.encode() + b'": "no number"}}',
    "50000 keys": b"{" + b",".join(b'"k%d":0' % n for n in range(20_000)) + b"}",
    "arrays": _more(b"[" * _DEEP + b"]" * _DEEP),
    "arrays, open": b'{"id":' + b"[" * _DEEP,
    "arrays alone": b"[" * _DEEP,
    "objects": _more(b'{"a":' * 50_000 + b"1" + b"}" * 50_000)[:LIMIT],
    "objects, closed": _more(b'{"":' * 40_000 + b"1" + b"}" * 40_000),
    "arrays and objects": _more(b'[{"a":' * 30_000)[:LIMIT],
    "150 deep": _more(b"[" * 150 + b"]" * 150),
    "199 deep": _more(b"[" * 198 + b"]" * 198),
    "201 deep": _more(b"[" * 201 + b"]" * 201),
    "1000 deep": _more(b"[" * 1000 + b"]" * 1000),
    "closing only": b"]" * _DEEP,
    "as long as allowed": _sized(LIMIT),
    "a byte too long": _sized(LIMIT + 1),
    "a megabyte": _sized(1024 * 1024),
    "a pickle": b"cposix\nsystem\n(S'true'\ntR.",
    "a Python object": b'{"py/object": "' + CANARY.encode() + b'.Thing", "id": 1}',
    "a YAML object": b"!!python/object/apply:" + CANARY.encode() + b".run [1]",
    "a class name": b'{"id": 1, "@class": "' + CANARY.encode() + b'", "$type": "' + CANARY.encode() + b'"}',
    "a template": _note("${jndi:ldap://127.0.0.1/a} {{7*7}} %(id)s %s {0.__class__}"),
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "a date from nowhere": b'{"id": 1, "at": "' + SECRET.encode() + b'"}',
    "a date as a huge number": b'{"id": 1, "at": 1e300}',
    "a date far away": b'{"id": 1, "at": "+999999999-12-31T23:59:59Z"}',
    "no UUID": b'{"id": 1, "key": "' + SECRET.encode() + b'"}',
    "no base64": b'{"id": 1, "blob": "' + SECRET.encode() + b'!"}',
    "no choice": b'{"id": 1, "kind": "' + SECRET.encode() + b'"}',
    "no decimal": b'{"id": 1, "amount": "' + SECRET.encode() + b'"}',
    "a decimal that is NaN": b'{"id": 1, "amount": "sNaN"}',
    "a decimal of an odd size": b'{"id": 1, "amount": "1E+999999999"}',
    "no duration": b'{"id": 1, "span": "' + SECRET.encode() + b'"}',
    "a duration too long": b'{"id": 1, "span": 1e20}',
    "a note that is none": b'{"id": 1, "note": {"' + SECRET.encode() + b'": 1}}',
}  # fmt: skip

_TYPES = (
    "", " ", "application/octet-stream", "application/xml", "text/html", "application/json; charset=utf-16",
    "APPLICATION/JSON", "application/problem+json", "+json", "text/plain; charset=latin-1",
    "application/x-python-pickle",
    "application/json;" + "x" * 2000, "é", "a/b/c", "json", "application/json, application/xml", "multipart/mixed",
    "application/json\\u0000", CANARY,
)  # fmt: skip


@functools.cache
def by_hand() -> tuple[Body, ...]:
    """Each once, and the good body under content types that are none of ours."""
    hand = [Body(f"hand-made: {name}", data) for name, data in _BY_HAND.items()]
    return (*hand, *(Body(f"content type: {name[:40]!r}", GOOD, name) for name in _TYPES))


@functools.cache
def cut() -> tuple[Body, ...]:
    """The good body cut off at every byte."""
    return tuple(Body(f"cut: at {size}", GOOD[:size]) for size in range(len(GOOD)))


@functools.cache
def spoilt() -> tuple[Body, ...]:
    """The good body with one byte replaced, at every place."""
    wrong = (0, 0x22, 0x5C, 0xFF, 0xC3, 0x7B, 0x5D)
    return tuple(
        Body(f"spoilt: byte {at}", GOOD[:at] + bytes((wrong[at % len(wrong)],)) + GOOD[at + 1 :])
        for at in range(len(GOOD))
    )


def _odd_json() -> st.SearchStrategy[bytes]:
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=8)
        | st.just(SECRET)
        | st.just(CANARY)
    )
    keys = st.sampled_from(["id", "note", "price", "at", "tags", "more", "key", "blob", "kind", "counts"]) | st.text(
        max_size=5
    )
    values: st.SearchStrategy[Any] = st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=8
    )
    objects = st.dictionaries(keys, values, max_size=6)
    return st.builds(
        lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"),
        objects | values,
        st.booleans(),
    )


def _crossed(data: bytes, at: int, junk: bytes) -> bytes:
    at = at % (len(data) + 1)
    return data[:at] + junk + data[at:]


@functools.cache
def made_up(count: int) -> tuple[Body, ...]:
    """By hypothesis: any bytes, any JSON, JSON with bytes put in, under content types that are JSON or none."""
    types = st.sampled_from(["application/json", "application/json", None, "text/plain", "application/x+json"])
    anything = st.builds(Body, st.just("random: bytes"), st.binary(max_size=200), types)
    json_ = st.builds(Body, st.just("random: JSON"), _odd_json(), types)
    mixed = st.builds(_crossed, _odd_json(), st.integers(0, 1000), st.binary(min_size=1, max_size=6))
    broken = st.builds(Body, st.just("random: JSON with junk"), mixed, types)
    return tuple(generated(st.one_of(anything, json_, broken), count))


def mutated(count: int, seed: int) -> list[Body]:
    """Small bodies from here with bytes taken out, put in, doubled or exchanged, the same ones for each seed."""
    chance = random.Random(seed)
    small = [GOOD, *(data for data in _BY_HAND.values() if 0 < len(data) < 300)]
    found = []
    for _ in range(count):
        data = chance.choice(small)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(data) + 1)
            junk = chance.choice(
                (b"", chance.randbytes(2), chance.choice(small)[:20], data[at : at + 9] * 3, b'"', b"{", b"\\u")
            )
            data = data[:at] + junk + data[at + chance.randrange(4) :]
        found.append(Body("mutated: bytes", data))
    return found

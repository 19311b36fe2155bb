"""Whatever a venue sends, its decoder raises nothing but MalformedFrame, gives out nothing that cannot be, and minds no news.

Of every venue of the registry, from messages that its simulator sent: cut off anywhere, with one value wrong, with keys more.
"""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tapeline.errors import MalformedFrame
from tapeline.instruments import Registry
from tapeline.sim.registry import simulated
from tapeline.venues.base import Ack, Filled
from tapeline.venues.registry import VENUES
from tests.venues.wire_talk import Heard, T, heard, make

simulator = pytest.mark.parametrize("name", simulated())
every = pytest.mark.parametrize("name", VENUES)

JUNK: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 2**63 + 5, -(2**63) - 1, 1.5, "", "x", "NaN", "-1", "1e400", "0E-8", "-0", "9" * 400, "\u0000", "0x10",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2024-13-45T99:99:99Z", [], {}, [[]], [None], {"a": {}},
    [["1", "2", "3"]], -62_135_596_800_000, 10**30,
)  # fmt: skip
RAW = (
    b"", b" ", b"[]", b"{}", b"null", b"true", b"0", b"NaN", b"Infinity", b'"text"', b"\x00", b"\xff\xfe", b"<html>", b"[" * 100_000,
    b'{"a":' * 100_000, b'"' + b"x" * 1_000_000 + b'"', b"x" * 1_000_000, b"[[[]]]", b'{"data":', b'{"":{}}', b'{"type":[]}',
    b'{"channel":{}}', b'{"e":[]}', b'{"topic":0}', b'{"arg":[]}', b'{"stream":1,"data":{}}', b'{"message":"x"}', b'{"message":1}',
)  # fmt: skip
UNHEARD = (
    b'{"e":"unheard","type":"unheard","channel":"unheard","topic":"unheard.of","event":"unheard","arg":{"channel":"unheard"}}'
)


def samples(found: Heard, each: int = 1) -> list[tuple[str, bytes]]:
    """Messages of each shape that was heard: the shortest of it, as keys and words go."""
    kinds: dict[tuple[str, str], list[bytes]] = {}
    for url, m in sorted(found.messages, key=lambda pair: len(pair[1])):
        shape = re.sub(rb"\d+", b"", m)[:40].decode("utf-8", "replace")
        kinds.setdefault((url, shape), []).append(m)
    chosen = [(url, m) for (url, _), ms in kinds.items() for m in ms[:each]]
    return random.Random(1).sample(chosen, min(20, len(chosen)))


@simulator
def test_messages_cut_off_anywhere_are_malformed_and_nothing_else(name: str) -> None:
    found = heard(name)
    for url, message in samples(found):
        decode = found.decoder().of_connection(url)
        for at in [*range(min(len(message), 400)), *range(400, len(message), 997)]:
            try:
                decode(message[:at], T)
            except MalformedFrame:
                continue


@every
def test_what_is_no_message_at_all(name: str) -> None:
    venue = make(name)
    decode = venue.decoder(Registry(name), simulated=False).of_connection("wss://nowhere/v5/public/spot")
    for raw in RAW:
        try:
            decode(raw, T)
        except MalformedFrame:
            continue


def mutants(value: Any, rng: random.Random, most: int) -> Iterator[Any]:
    """The message with one value of it replaced by junk, one left out, one key more."""
    spots = list(_spots(value))
    for path in rng.sample(spots, min(most, len(spots))):
        for junk in rng.sample(JUNK, 8):
            yield _with(value, path, lambda _, junk=junk: junk)
        yield _with(value, path[:-1], lambda node, key=path[-1]: _without(node, key))


def _spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, one in entries:
        yield from _spots(one, (*path, key))


def _with(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    if not path:
        return change(value)
    copy = value.copy()
    copy[path[0]] = _with(copy[path[0]], path[1:], change)
    return copy


def _without(node: Any, key: Any) -> Any:
    return (
        {k: v for k, v in node.items() if k != key} if isinstance(node, dict) else [v for i, v in enumerate(node) if i != key]
    )


@simulator
def test_one_wrong_value_anywhere_raises_nothing_but_malformed_frame(name: str) -> None:
    found, rng = heard(name), random.Random(7)
    for url, message in samples(found):
        decode = found.decoder().of_connection(url)
        for mutant in mutants(json.loads(message), rng, 25):
            raw = json.dumps(mutant, separators=(",", ":")).encode()
            for text in (raw, raw.replace(b'"NaN"', b"NaN").replace(b'"1e400"', b"1e400").replace(b'"-1"', b"-1")):
                try:
                    decode(text, T)
                except MalformedFrame:
                    continue


@simulator
def test_nothing_that_is_given_out_is_negative_or_no_number(name: str) -> None:
    """Whatever a message says: sizes and prices of records are finite, sizes not below zero, ids and times within 64 bits."""
    found, rng = heard(name), random.Random(8)
    for url, message in samples(found):
        for mutant in mutants(json.loads(message), rng, 12):
            try:
                records = found.decoder().of_connection(url)(json.dumps(mutant, separators=(",", ":")).encode(), T)
            except MalformedFrame:
                continue
            for record in (r for r in records if not isinstance(r, Ack)):
                _believable(record.trade if isinstance(record, Filled) else record)


def _believable(record: Any) -> None:
    for field in getattr(record, "__struct_fields__", ()):
        value = getattr(record, field)
        if isinstance(value, float):
            assert abs(value) < float("inf"), (field, record)  # false for NaN, too
            assert field not in {"size", "bid_size", "ask_size", "volume"} or value >= 0, (field, record)
        elif isinstance(value, int) and not isinstance(value, bool):
            assert field == "checksum" or -(2**63) <= value < 2**63, (field, record)
    for side in ("bids", "asks"):
        assert all(p == p and s >= 0 and s < float("inf") for p, s in getattr(record, side, ()) or ()), record


@simulator
def test_keys_that_nobody_knows_change_nothing(name: str) -> None:
    found = heard(name)
    for url, message in samples(found):
        if found.venue.is_ack(message):
            continue  # there keys may be names of channels
        more = _more(json.loads(message))
        raw = json.dumps(more, separators=(",", ":")).encode()
        plain = json.dumps(json.loads(message), separators=(",", ":")).encode()
        assert found.decoder().of_connection(url)(raw, T) == found.decoder().of_connection(url)(plain, T)


def _more(value: Any) -> Any:
    if isinstance(value, dict) and value:
        return {**{k: _more(v) for k, v in value.items()}, "unheard_of": {"x": [1, None, "y"]}}
    return [_more(v) for v in value] if isinstance(value, list) else value


@every
def test_messages_of_a_kind_that_nobody_knows_are_counted(name: str) -> None:
    decoder = make(name).decoder(Registry(name), simulated=False)
    for url in ("wss://nowhere/", "wss://nowhere/v5/public/linear"):
        assert list(decoder.of_connection(url)(UNHEARD, T)) == []
    assert sum(decoder.unknown.values()) == 2

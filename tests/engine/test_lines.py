"""Recordings as lines: bounded, whatever they hold."""

import io

import pytest

from tapeline.engine import lines as room
from tapeline.engine.lines import bounded, frames
from tapeline.venues.registry import venue_class


def test_lines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LONGEST", 10)
    monkeypatch.setattr(room, "KEPT", 4)
    raw = b"123456789\n" + b"1234567890" + b"x" * 100 + b"\n" + b"next\n" + b"y" * 10
    assert list(bounded(io.BytesIO(raw))) == [b"123456789\n", b"1234", b"next\n", b"yyyy"]
    assert list(bounded(io.BytesIO(b""))) == []
    assert list(bounded(io.BytesIO(b"no newline"[:9]))) == [b"no newlin"]


def test_a_time_past_64_bits_is_no_time() -> None:
    raw = [b'5 {"a":1}', b'{"E":99999999999999999}', b"9223372036854775808 {}", b"9223372036854775807 {}"]
    made = list(frames(venue_class("binance")(), raw, "test"))
    assert [f.ts_recv for f in made] == [5, 5, 5, 5, 9223372036854775807]

"""Frames' heads: there and back, and nothing but msgspec's own errors for what is none."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline import frames
from tapeline.frames import Closed, FrameKind, HttpAnswer, Lost, Opened, Session


@pytest.mark.parametrize(
    ("head", "unpack"),
    [
        (
            Opened(venue="binance", url="wss://x/stream", streams=["a@trade"], replaces=3, simulated=True, attempt=2),
            frames.unpack_opened,
        ),
        (Opened(venue="binance", url=""), frames.unpack_opened),
        (Closed(code=1006, reason="gone", planned=True), frames.unpack_closed),
        (Session(id="s", version="1", pipeline={"a": [1, None]}, note="n"), frames.unpack_session),
        (Lost(frames=3, since=2**62, reason="disk full"), frames.unpack_lost),
    ],
)
def test_heads_there_and_back(head: Any, unpack: Any) -> None:
    assert unpack(frames.pack(head)) == head


@given(st.binary(), st.text())
def test_answers_keep_their_bodies_byte_for_byte(body: bytes, error: str) -> None:
    head = HttpAnswer(
        venue="binance", purpose="book", url="http://x\n", status=200, native="BTCUSDT", error=error, headers={"a": "b\n"}
    )
    assert frames.unpack_answer(frames.pack_answer(head, body)) == (head, body)


@pytest.mark.parametrize(
    "unpack", [frames.unpack_opened, frames.unpack_closed, frames.unpack_session, frames.unpack_lost, frames.unpack_answer]
)
@pytest.mark.parametrize("data", [b"", b"{", b"{}", b"[]", b"\xff", b"null"])
def test_what_is_no_head(unpack: Any, data: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, ValueError)):
        unpack(data)


def test_the_numbers_of_kinds_are_on_tapes_and_never_change() -> None:
    assert {k.name: k.value for k in FrameKind} == {
        "RECV": 1, "BINARY": 2, "SENT": 3, "HTTP": 4, "OPENED": 5, "CLOSED": 6, "PING": 7, "PONG": 8, "TICK": 9, "SESSION": 10, "LOST": 11,
        "END": 12, "GONE": 13, "ALERT": 14, "SWITCHED": 15,
    }  # fmt: skip

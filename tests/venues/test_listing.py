"""Lists of instruments, row by row; steps that can be none; what a shape's numbers may be."""

import math
from typing import Any

import msgspec
import pytest

from tapeline.errors import MalformedFrame
from tapeline.instruments import Instrument
from tapeline.venues.listing import each, step, whole
from tapeline.venues.shapes import AnyPrice, Id, Micros, Millis, Price, Seconds, Size, reader


def named(row: Any) -> Instrument | None:
    if row in {7, 8}:
        raise ValueError(f"{row!r} is no name")
    return Instrument(id=f"x:{row}", venue="x", native=row, kind="spot", base=row, quote="") if row else None


def test_a_row_that_cannot_be_read_hides_no_other() -> None:
    assert [i.native for i in each(["A", 7, "", "B"], named, "list of x")] == ["A", "B"]
    assert each([], named, "list of x") == []
    assert each(["", ""], named, "list of x") == []  # nothing is wrong, and nothing to be listed


def test_rows_of_which_none_can_be_read_are_no_list() -> None:
    with pytest.raises(MalformedFrame, match="list of x: none can be read: 8 is no name"):
        each([7, "", 8], named, "list of x")


def test_an_answer_that_cannot_be_read_says_what_it_should_have_been() -> None:
    read = msgspec.json.Decoder(list[int]).decode
    assert whole(read, b"[1]", "list of x") == [1]
    for body in (b"", b"{}", b'["1"]', b"[" * 100_000):
        with pytest.raises(MalformedFrame, match="list of x: "):
            whole(read, body, "list of x")


@pytest.mark.parametrize("size", [1e-18, 0.01, 1.0, 1e12])
def test_a_step(size: float) -> None:
    assert step(size) == size


@pytest.mark.parametrize("size", [None, "", 0.0, -0.1, 1e-19, 1e13, math.inf, math.nan])
def test_no_step(size: Any) -> None:
    assert step(size) is None


LAST = 2**63 - 1  # the last nanosecond that 64 bits hold


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Price, ["0.1", "1e30"], ["0", "-1", "1e31", "NaN", "Infinity", "x", ""]),
        (AnyPrice, ["0", "0.1"], ["-0.1", "NaN", "1e31"]),
        (Size, ["0", "12"], ["-1", "NaN", "1e31"]),
        (Id, ["0", f"{LAST}"], ["-1", f"{LAST + 1}"]),
        (Micros, [f"{LAST // 10**3}"], ["-1", f"{LAST // 10**3 + 1}"]),
        (Millis, [f"{LAST // 10**6}"], ["-1", f"{LAST // 10**6 + 1}"]),
        (Seconds, [f"{LAST // 10**9}"], ["-1", f"{LAST // 10**9 + 1}"]),
    ],
)
def test_numbers_that_no_market_has_are_refused(kind: Any, good: list[str], bad: list[str]) -> None:
    read = reader(kind)
    for text in good:
        assert read(f'"{text}"'.encode()) == (float(text) if kind in (Price, AnyPrice, Size) else int(text))
    for text in bad:
        with pytest.raises(msgspec.ValidationError):
            read(f'"{text}"'.encode())


def test_a_reader_may_insist_on_numbers() -> None:
    assert reader(Price, strict=True)(b"1.5") == 1.5
    with pytest.raises(msgspec.ValidationError):
        reader(Price, strict=True)(b'"1.5"')

"""What reading a venue's list of instruments needs, whatever its shape."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from tapeline.errors import MalformedFrame
from tapeline.instruments import Instrument

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
"""As the names of dated contracts spell them."""
Read = TypeVar("Read")
Row = TypeVar("Row")


def step(size: object) -> float | None:
    """The smallest step, or the worth, of something. None where it can be that of nothing: no number, 0, negative, absurd."""
    return size if isinstance(size, float) and 1e-18 <= size <= 1e12 else None


def whole(read: Callable[[bytes], Read], body: bytes, what: str) -> Read:
    """`read(body)`; raises MalformedFrame, which names `what` was to be read, where it cannot."""
    try:
        return read(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as e:
        raise MalformedFrame(f"{what}: {e}") from None


def each(rows: Iterable[Row], read: Callable[[Row], Instrument | None], what: str) -> list[Instrument]:
    """Row by row: one of a shape not known yet must not hide the others. `read` gives None of what is not to be listed.

    Raises MalformedFrame where nothing could be read and something is wrong.
    """
    listed: list[Instrument] = []
    error: Exception | None = None
    for row in rows:
        try:
            if (instrument := read(row)) is not None:
                listed.append(instrument)
        except (msgspec.MsgspecError, ValueError) as e:
            error = e
    if error is not None and not listed:
        raise MalformedFrame(f"{what}: none can be read: {error}")
    return listed

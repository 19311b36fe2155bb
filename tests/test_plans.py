"""Which streams fit on a connection: so many, and so many books among them; the others wait, in order."""

from collections.abc import Sequence

import pytest

from tapeline.plans import Channel, Limits, Stream, fitting, parts


def streams(*names: str) -> list[Stream]:
    channels: dict[str, Channel] = {"b": "book", "t": "trades"}
    return [Stream(name, channels[name[0]], f"x:{name[1:]}") for name in names]


def limits(most: int, books: int | None = None) -> Limits:
    return Limits(
        messages_per_second=1,
        streams_per_connection=most,
        books_per_connection=books,
        connects_per_5_minutes=1,
        http_weight_per_minute=1,
    )


@pytest.mark.parametrize(
    ("carried", "most", "books", "begun", "left"),
    [
        ((), 9, None, "b1 t1 b2 t2 b3 t3", ""),
        ((), 4, None, "b1 t1 b2 t2", "b3 t3"),
        ((), 9, 2, "b1 t1 b2 t2 t3", "b3"),
        (("b8",), 9, 2, "b1 t1 t2 t3", "b2 b3"),
        (("b8", "b9"), 4, 2, "t1 t2", "b1 b2 b3 t3"),
        (("t7", "t8", "t9"), 3, 2, "", "b1 t1 b2 t2 b3 t3"),
        (("t7", "t8", "t9", "t0"), 3, None, "", "b1 t1 b2 t2 b3 t3"),
    ],
)
def test_what_fits(carried: Sequence[str], most: int, books: int | None, begun: str, left: str) -> None:
    waiting = streams("b1", "t1", "b2", "t2", "b3", "t3")
    assert [s.name for s in fitting(waiting, streams(*carried), limits(most, books))] == begun.split()
    assert [s.name for s in waiting] == left.split()


def test_parts_are_in_order_and_none_is_empty() -> None:
    assert list(parts("abcde", 2)) == ["ab", "cd", "e"]
    assert list(parts([1, 2], 2)) == [[1, 2]]
    assert list(parts((), 2)) == []

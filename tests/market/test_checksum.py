"""The digits of a book: against a plain book of texts, the documents' worked example and vectors recomputed elsewhere."""

import json
import re
import zlib
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.instruments import Registry
from tapeline.market import checksum
from tapeline.market.book import Book
from tapeline.market.checksum import Digits
from tapeline.venues.base import UNNUMBERED, BookChecksum, BookMessage
from tapeline.venues.kraken import Kraken, crc32

Printed = list[tuple[str, str]]
ASKS = """45285.2/0.00100000 45286.4/1.54571953 45286.6/1.54571109 45289.6/1.54560911 45290.2/0.15890660 45291.8/1.54553491
          45294.7/0.04454749 45296.1/0.35380000 45297.5/0.09945542 45299.5/0.18772827"""
BIDS = """45283.5/0.10000000 45283.4/1.54582015 45282.1/0.10000000 45281.0/0.10000000 45280.3/1.54592586 45279.0/0.07990000
          45277.6/0.03310103 45277.5/0.30000000 45277.3/1.54602737 45276.6/0.15445238"""


def plain(bids: Printed, asks: Printed) -> int:
    """Kraken's rule, word for word: ten levels a side, asks first, no point, no leading zeros."""
    text = ""
    for side in (asks[:10], bids[:10]):
        for price, size in side:
            text += price.replace(".", "").lstrip("0") + size.replace(".", "").lstrip("0")
    return zlib.crc32(text.encode())


def digits(printed: Printed) -> Printed:
    return [(p.replace(".", "").lstrip("0"), s.replace(".", "").lstrip("0")) for p, s in printed]


def message(kind: str, bids: Printed, asks: Printed, cut: int = 0) -> BookMessage:
    numbers = [[(float(p), float(s)) for p, s in side] for side in (bids, asks)]
    return BookMessage(
        "X", 0, 0, kind, *numbers, UNNUMBERED, UNNUMBERED, cut=cut, bid_texts=digits(bids), ask_texts=digits(asks)
    )  # type: ignore[arg-type]


def of_line(text: str) -> Printed:
    return [tuple(level.split("/")) for level in text.split()]  # type: ignore[misc]


def test_the_documents_worked_example() -> None:
    assert plain(of_line(BIDS), of_line(ASKS)) == 3310070434
    assert crc32(digits(of_line(BIDS)), digits(of_line(ASKS))) == 3310070434
    book, held = Book(), Digits(BookChecksum(10, crc32))
    m = message("snapshot", of_line(BIDS), of_line(ASKS))
    book.replace(m.bids, m.asks)
    held.take(m)
    assert held.of(book) == 3310070434


class Texts:
    """A book of texts: a dict a side, sorted when asked."""

    def __init__(self) -> None:
        self.sides: tuple[dict[Decimal, tuple[str, str]], ...] = ({}, {})

    def apply(self, bids: Printed, asks: Printed, cut: int) -> None:
        for side, changed, is_bids in zip(self.sides, (bids, asks), (True, False), strict=True):
            for price, size in changed:
                if Decimal(size):
                    side[Decimal(price)] = (price, size)
                else:
                    side.pop(Decimal(price), None)
            for price in sorted(side, reverse=is_bids)[cut:]:
                del side[price]

    def checksum(self) -> int:
        bids, asks = (sorted(side, reverse=is_bids) for side, is_bids in zip(self.sides, (True, False), strict=True))
        return plain([self.sides[0][p] for p in bids], [self.sides[1][p] for p in asks])


PRICE = st.integers(1, 400).map(lambda n: f"{n / 10:.2f}")
SIZE = st.sampled_from(["0.00000000", "0.00000000", "0.00100000", "1.54571953", "12.50000000", "100.00000000", "7.00000001"])
CHANGES = st.lists(st.tuples(PRICE, SIZE), max_size=15)


@settings(max_examples=150)
@given(CHANGES, CHANGES, st.lists(st.tuples(CHANGES, CHANGES), max_size=20), st.sampled_from([10, 25]))
def test_any_book_has_the_checksum_of_its_texts(
    bids: Printed, asks: Printed, updates: list[tuple[Printed, Printed]], cut: int
) -> None:
    """Prices occur twice in a message, levels go and come back with another size, sides are shorter than ten or cut."""
    wanted, book, held = Texts(), Book(), Digits(BookChecksum(10, crc32))
    begun = [[level for level in dict(side).items() if Decimal(level[1])] for side in (bids, asks)]
    m = message("snapshot", *begun, cut=cut)
    book.replace(m.bids, m.asks, cut=cut)
    book.apply_cut([], [], cut)
    held.take(m)
    wanted.apply(*begun, cut)
    assert held.of(book) == wanted.checksum()
    for changed in updates:
        m = message("diff", *changed, cut=cut)
        book.apply_cut(m.bids, m.asks, cut)
        held.take(m)
        wanted.apply(*changed, cut)
        assert held.of(book) == wanted.checksum()


def test_texts_of_levels_that_have_gone_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "SLACK", 30)
    random, wanted, book, held = Random(1), Texts(), Book(), Digits(BookChecksum(10, crc32))
    most = 0
    for _ in range(2000):
        low = random.randint(1, 10_000)
        changed = [(f"{low / 100:.2f}", random.choice(["0.0", "1.5"]))], [(f"{(low + 20_000) / 100:.2f}", "2.50")]
        m = message("diff", *changed)
        book.apply_cut(m.bids, m.asks, 25)
        held.take(m)
        wanted.apply(*changed, 25)
        assert held.of(book) == wanted.checksum()
        most = max(most, len(held._bids) + len(held._asks))
    assert most < 200


def test_a_level_without_its_text_proves_nothing() -> None:
    """Neither right nor wrong: such a book cannot be judged."""
    book, held = Book(), Digits(BookChecksum(10, crc32))
    book.replace([(1.0, 1.0)], [(2.0, 1.0)])
    held.take(BookMessage("X", 0, 0, "snapshot", [(1.0, 1.0)], [(2.0, 1.0)], UNNUMBERED, UNNUMBERED))
    assert held.of(book) is None


def test_texts_that_are_not_as_many_as_the_levels_are_refused() -> None:
    held = Digits(BookChecksum(10, crc32))
    with pytest.raises(ValueError, match="zip"):
        held.take(BookMessage("X", 0, 0, "diff", [(1.0, 1.0)], [], UNNUMBERED, UNNUMBERED, bid_texts=[("1", "1"), ("2", "1")]))


def printed(raw: str, price_decimals: int | None, size_decimals: int | None) -> bytes:
    """One vector was stored without its trailing zeros, and says how many decimals the wire had."""
    if price_decimals is None or size_decimals is None:
        return raw.encode()
    raw = re.sub(r'"price":([0-9.e-]+)', lambda m: f'"price":{Decimal(m[1]):.{price_decimals}f}', raw)
    return re.sub(r'"qty":([0-9.e-]+)', lambda m: f'"qty":{Decimal(m[1]):.{size_decimals}f}', raw).encode()


def test_krakens_vectors(shared_frames: Path) -> None:
    """Recomputed elsewhere from live messages and the documents; through the real decoder, from the bytes of the wire."""
    vectors = json.loads((shared_frames / "expected" / "kraken_v2_checksum_vectors.json").read_text())
    proved = []
    for vector in vectors:
        decoder = Kraken().decoder(Registry("kraken"), simulated=False)
        book, held = Book(), Digits(BookChecksum(10, crc32))
        steps = [(vector["raw_snapshot"], vector["checksum"]), (vector.get("raw_update"), vector.get("checksum_after"))]
        for raw, wanted in (step for step in steps if step[0] is not None):
            (m,) = decoder.decode(printed(raw, vector["price_precision"], vector["qty_precision"]), 1_800_000_000 * 10**9)
            assert isinstance(m, BookMessage)
            assert m.checksum == wanted
            if m.kind == "snapshot":
                book.replace(m.bids, m.asks, cut=m.cut)
            book.apply_cut(m.bids, m.asks, m.cut)
            held.take(m)
            proved.append((held.of(book), wanted))
    assert len(vectors) == 6
    assert len(proved) == 8
    assert [found for found, _ in proved] == [wanted for _, wanted in proved]

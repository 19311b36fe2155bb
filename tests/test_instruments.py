"""Names that a venue could mean, and bounds on how many it may make up."""

import pytest

from tapeline import instruments
from tapeline.errors import MalformedFrame, UsageError
from tapeline.instruments import Instrument, Registry, plausible, split_id


def one(symbol: str, native: str = "") -> Instrument:
    return Instrument(id=f"sim:{symbol}", venue="sim", native=native or symbol, kind="spot", base=symbol, quote="")


@pytest.mark.parametrize(
    "name", ["BTC-USDT", "BTC-USDT-PERP", "1000SATS-USDT", "BRK.B", "^GSPC", "EURUSD=X", "OANDA:EUR_USD", "币安人生-USDT"]
)
def test_names_that_venues_use(name: str) -> None:
    assert plausible(name)
    assert split_id(f"binance:{name}") == ("binance", name)


BAD = ["", " ", "A B", "A\nB", "A\x00", "A/B", "..\\x", "<b>", 'A"', "A'B", "A\u202eB", "\ud800", "X" * 65, "币" * 22]


@pytest.mark.parametrize("name", BAD)
def test_names_that_no_venue_uses(name: str) -> None:
    """They would become folders, labels, SQL values and text on a page."""
    assert not plausible(name)
    with pytest.raises(MalformedFrame):
        Registry("sim").add(one(name))
    with pytest.raises(UsageError):
        split_id(f"binance:{name}")


def test_names_outside_the_list_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "MOST_DERIVED", 3)
    registry = Registry("sim")
    for n in range(3):
        registry.add(one(f"A{n}"))
    with pytest.raises(MalformedFrame, match="3"):
        registry.add(one("A3"))
    assert len(registry.by_id) == len(registry.by_native) == 3
    assert registry.fill([one("LISTED"), one("A/B")]) == 1  # a list has its own bound; what cannot be used is counted
    assert "sim:LISTED" in registry.by_id


def test_a_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "MOST_LISTED", 5)
    registry = Registry("sim")
    assert registry.fill(one(f"A{n}") for n in range(8)) == 3
    assert registry.fill(one(f"A{n}") for n in range(5)) == 0, "the same list again costs nothing"


def test_the_nearest_of_many_names() -> None:
    """Most alike first, whatever case; ids of the list, and no more than there is likeness for."""
    registry = Registry("sim")
    names = [f"{a}{b}-{q}" for a in "ABCDEFGHIJ" for b in "QRSTUVWXYZ" for q in ("USDT", "USD", "EUR")]
    registry.fill(one(name) for name in [*names, "BTC-USD", "BTC-USDT", "BTC-EUR", "AAPLx-USD"])
    assert registry.nearest("BTC-USDD")[:2] == ["sim:BTC-USD", "sim:BTC-USDT"]
    assert registry.nearest("btceur")[0] == "sim:BTC-EUR"
    assert registry.nearest("aaplx-usdt")[0] == "sim:AAPLx-USD"
    assert len(registry.nearest("BTC-USDD")) == 3
    assert registry.nearest("????") == []
    assert Registry("sim").nearest("BTC-USD") == []

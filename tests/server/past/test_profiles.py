"""The volume profile over a real socket."""

from tapeline.clock import MICRO
from tapeline.events import Flag
from tapeline.market.profile import Bin, Profile
from tests.server.fakes import BTC, ETH, T0, sample, trade
from tests.server.test_rest import get, refused

US = T0 // MICRO


async def test_volume_by_price(http, source, server):
    source.push(
        trade(1, price=100.0, size=1.0, side="buy"),
        trade(2, price=100.01, size=4.0, side="sell"),
        trade(3, price=100.02, size=0.5, side="unknown"),
        trade(4, price=900.0, size=50.0, flags=int(Flag.OFF_BOOK)),
    )
    row = await get(http, "profile", instrument=BTC)
    assert (row["first"], row["last"], row["more"]) == (US + 1000, US + 3000, False)
    assert row["profile"] == {
        "step": 0.01, "volume": 5.5, "poc": 100.01, "val": 100.01, "vah": 100.01,
        "bins": [
            {"low": 100.0, "high": 100.0, "volume": 1.0, "buy_volume": 1.0, "sell_volume": 0.0},
            {"low": 100.01, "high": 100.01, "volume": 4.0, "buy_volume": 0.0, "sell_volume": 4.0},
            {"low": 100.02, "high": 100.02, "volume": 0.5, "buy_volume": 0.0, "sell_volume": 0.0},
        ],
    }  # fmt: skip
    wide = await get(http, "profile", instrument=BTC, bps=10, **{"from": US + 2000})
    assert [(b["low"], b["high"], b["volume"]) for b in wide["profile"]["bins"]] == [(100.0, 100.09, 4.5)]


async def test_of_nothing_and_of_what_cannot_be(http, source, server):
    row = await get(http, "profile", instrument=ETH)
    assert (row["profile"]["poc"], row["profile"]["bins"], row["first"], row["more"]) == (None, [], None, False)
    await refused(http, "profile", 400, "bad_parameter", instrument=ETH, bps="0")
    await refused(http, "profile", 400, "unknown_parameter", instrument=ETH, window="1h")


async def test_the_profile_of_a_metric_that_is_on(http, server, source):
    source.sampled = {"profile_1h": Profile(1.0, 7.0, 100.5, 100.0, 101.0, [Bin(100.0, 100.9, 7.0, None, None)])}
    source.push(sample(1, {"profile_1h.poc": 100.5}, "profile_1h"))
    row = await get(http, "profile", instrument=BTC, metric="profile_1h")
    assert (row["metric"], row["incomplete"], row["profile"]["poc"]) == ("profile_1h", True, 100.5)
    assert row["profile"]["bins"] == [{"low": 100.0, "high": 100.9, "volume": 7.0, "buy_volume": None, "sell_volume": None}]
    await refused(http, "profile", 404, "no_such_metric", instrument=BTC, metric="profile_4h")
    assert "none is on" in (await refused(http, "profile", 404, "no_such_metric", instrument=ETH, metric="profile_1h"))["hint"]

"""What columns, times, numbers and sides of other people's CSV files mean."""

import pytest

from tapeline.engine.plain import BadRow, Times, layout, number, side_of, truth
from tapeline.errors import UsageError

NS = 1_618_677_816_841_499_800


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("time,price,size", "trades"),
        ("Timestamp;Px;Qty;Side".replace(";", ","), "trades"),
        ("id,price,qty,quote_qty,time,is_buyer_maker", "trades"),
        ("exchange,symbol,timestamp,local_timestamp,id,side,price,amount", "trades"),
        ("Date,Open,High,Low,Close,Volume", "bars"),
        (
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
            "bars",
        ),
        ("exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount", "book"),
        ("exchange,symbol,timestamp,local_timestamp,asks[0].price,asks[0].amount,bids[0].price,bids[0].amount", "book"),
        ("exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount", "quotes"),
        ("time,instrument,side,price,size,more,snapshot,seq,prev_seq,flags,ts_event,ts_recv", "book"),
    ],
)
def test_columns_by_the_names_people_use(head: str, kind: str) -> None:
    found = layout(head.split(","), None, {})
    assert found.kind == kind and found.header


@pytest.mark.parametrize(
    ("row", "kind", "aggregated"),
    [
        ("28457,4.00000100,12.00000000,48.0,1499865549590,true,true", "trades", False),
        ("28457,4.00000100,12.00000000,48.0,1499865549590,true", "trades", False),
        ("26129,0.01633102,4.70443515,27781,27781,1498793709153,true,true", "trades", True),
        ("26129,0.01633102,4.70443515,27781,27781,1498793709153,true", "trades", True),
        ("1499040000000,0.01,0.8,0.01,0.02,148976.1,1499644799999,2434.1,308,1756.8,28.4,17928899.6", "bars", False),
    ],
)
def test_binances_dumps_without_header(row: str, kind: str, aggregated: bool) -> None:
    found = layout(row.split(","), None, {})
    assert (found.kind, found.aggregated, found.header) == (kind, aggregated, False)
    cells = row.split(",")
    wanted = {"trades": {"28457": "4.00000100", "26129": "0.01633102"}.get(cells[0]), "bars": "0.8"}[kind]
    assert cells[found.columns["high" if kind == "bars" else "price"]] == wanted
    assert len(cells[found.columns["time"]]) == 13


def test_columns_that_are_mapped() -> None:
    found = layout(["When", "Was", "How much"], "trades", {"time": "When", "price": "was", "size": "how much"})
    assert found.columns == {"time": 0, "price": 1, "size": 2}
    for mapping, told in (({"px": "Was"}, "there is no 'px'"), ({"price": "x"}, "no such column")):
        with pytest.raises(UsageError, match=told):
            layout(["When", "Was"], "trades", mapping)


@pytest.mark.parametrize("row", ["a,b,c", "time,price", "1,2,3", "1,2,3,4,5,6,7"])
def test_columns_that_tell_nothing(row: str) -> None:
    with pytest.raises(UsageError, match=r"--map|add a first line"):
        layout(row.split(","), None, {})


@pytest.mark.parametrize(
    ("text", "unit", "ns"),
    [
        ("1618677816", "s", NS // 10**9 * 10**9),
        ("1618677816.8414998", "s", NS),
        ("1618677816841.4998", "ms", NS),
        ("1618677816841", "ms", NS // 10**6 * 10**6),
        ("1618677816841499", "us", NS // 1000 * 1000),
        ("1618677816841499800", "ns", NS),
        ("2021-04-17T16:43:36.8414998Z", "iso", NS),
        ("2021-04-17 18:43:36.8414998+02:00", "iso", NS),
        ("2021/04/17 16:43:36.841499800", "iso", NS),
        ("2021-04-17", "iso", 1_618_617_600 * 10**9),
    ],
)
def test_times_by_their_size(text: str, unit: str, ns: int) -> None:
    times = Times(None, "UTC")
    assert times.read(text) == ns
    assert times.unit == unit


def test_times_of_a_zone() -> None:
    assert Times(None, "Europe/Berlin").read("2021-04-17 18:43:36.8414998") == NS
    assert Times(None, "Europe/Berlin").read("2021-04-17T16:43:36.8414998Z") == NS
    with pytest.raises(UsageError, match="--tz"):
        Times(None, "Europe/Nowhere")


def test_a_time_of_another_unit_is_no_time() -> None:
    times = Times(None, "UTC")
    times.read("1618677816")
    for bad in ("1618677816841", "2021-04-17", "", "x", "-5"):
        with pytest.raises(BadRow):
            times.read(bad)
    assert Times("ms", "UTC").read("1618677816") == 1_618_677_816 * 10**6  # where it is said, it is so
    with pytest.raises(BadRow):
        Times(None, "UTC").read("2021-13-45")


def test_numbers() -> None:
    assert number("61837.63000000", "price", positive=True) == (61837.63, False)
    assert number("1e-7", "size") == (1e-7, False)
    assert number("0.1234567890123456789", "size") == (0.1234567890123456789, True)
    for bad in ("", "x", "nan", "inf", "1_000", "1,5"):
        with pytest.raises(BadRow):
            number(bad, "price")
    for bad in ("0", "-1"):
        with pytest.raises(BadRow, match="price is"):
            number(bad, "price", positive=True)


@pytest.mark.parametrize(
    ("side", "maker", "wanted"),
    [
        ("BUY", None, "buy"),
        ("s", None, "sell"),
        (None, "True", "sell"),
        (None, "false", "buy"),
        ("", "0", "buy"),
        (None, None, "unknown"),
    ],
)
def test_the_aggressors_side(side: str | None, maker: str | None, wanted: str) -> None:
    assert side_of(side, maker) == wanted


def test_what_is_no_side_and_no_truth() -> None:
    with pytest.raises(BadRow, match="neither buy nor sell"):
        side_of("upwards", None)
    with pytest.raises(BadRow, match="neither true nor false"):
        truth("perhaps", "is_snapshot")

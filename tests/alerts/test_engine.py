"""When a rule is raised and when it ends: each promise of docs/alerts.md by a stream written by hand."""

from datetime import UTC, datetime

import pytest

from tapeline.alerts.engine import Engine
from tapeline.alerts.rule import Rule
from tapeline.clock import SECOND
from tapeline.events import Flag, Liquidation, Metrics, Ticker
from tests.alerts.streams import (
    BTC,
    SIM,
    SIMULATED,
    USD,
    bar,
    engine,
    mid,
    ns,
    run,
    sample,
    status,
    told,
    trade,
)

UNPROVEN = int(Flag.BOOK_UNPROVEN)


HOUR = [sample(12 * n, volume_1m=1.0) for n in range(1, 304)]
EXAMPLES = {
    f"{BTC} mid crosses above 100000": ([mid(1, 99_999), mid(2, 100_000), mid(3, 100_001)], 3.0),
    "spread_bps > 5 for 10s": ([mid(1, 1000, half=0.25), mid(2, 1000, half=0.26), mid(9, 1000, half=0.3)], 12.0),
    "volume_1m > 3 * avg(volume_1m, 60m)": ([*HOUR, sample(3640, volume_1m=3.0), sample(3641, volume_1m=3.1)], 3641.0),
    "status is gap or stale": ([status(1, "synced"), status(2, "stale", "trades")], 2.0),
    f"{USD}.mid - {BTC}.mid > 20": ([mid(1, 100), mid(2, 120, USD), mid(3, 120.5, USD)], 3.0),
    "price changes by 1% within 5m": ([trade(1, 100), trade(2, 100.9), trade(3, 101)], 3.0),
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_rules_that_everybody_asks_for_first(text):
    events, at = EXAMPLES[text]
    assert run(text, events, until=max(at, events[-1].ts_event / SECOND)) == [(at, "raised")]


def test_a_crossing_is_raised_once_and_ends_when_it_is_back():
    events = [mid(1, 99), mid(2, 101), mid(3, 102), mid(4, 100), mid(5, 101), mid(6, 90)]
    expected = [(2.0, "raised"), (4.0, "resolved"), (5.0, "raised"), (6.0, "resolved")]
    assert run(f"{BTC} mid crosses above 100", events) == expected


def test_what_is_above_from_the_start_has_not_crossed():
    assert run("mid crosses above 100", [mid(1, 105), mid(2, 106)]) == []
    assert run("mid > 100", [mid(1, 105), mid(2, 106)]) == [(1.0, "raised")]


def test_either_way_is_told_at_each_crossing():
    events = [mid(1, 99), mid(2, 101), mid(3, 102), mid(4, 99)]
    assert run("mid crosses 100", events) == [(2.0, "raised"), (3.0, "resolved"), (4.0, "raised")]


def test_for_is_judged_by_time_that_passes_without_events():
    events = [mid(1, 99), mid(2, 101)]
    assert run("mid > 100 for 10s", events, until=30) == [(12.0, "raised")]
    assert run("mid > 100 for 10s", [*events, mid(5, 99), mid(6, 101)], until=15.9) == []
    assert run("mid > 100 for 10s", [*events, mid(5, 101.5), mid(13, 99)]) == [(12.0, "raised"), (13.0, "resolved")]


def test_not_to_know_breaks_for():
    events = [mid(2, 101), status(5, "gap"), mid(6, 101)]
    assert run("mid > 100 for 10s", events, until=15.9) == []
    assert run("mid > 100 for 10s", events, until=16) == [(16.0, "raised")]
    assert run("mid > 100 for 10s", events, until=16, incomplete=True) == [(12.0, "raised")]


def test_hysteresis_and_until():
    events = [mid(1, 99), mid(2, 101), mid(3, 99.9), mid(4, 101), mid(5, 98.9), mid(6, 101)]
    assert run("mid crosses above 100", events, hysteresis="1%") == [(2.0, "raised"), (5.0, "resolved"), (6.0, "raised")]
    assert run("mid > 100", events, hysteresis="1") == [(2.0, "raised"), (5.0, "resolved"), (6.0, "raised")]
    events = [mid(1, 99), mid(2, 101), mid(3, 99), mid(4, 102), mid(5, 97), mid(6, 99), mid(7, 101)]
    assert run("mid crosses above 100 until mid < 98", events) == [(2.0, "raised"), (5.0, "resolved"), (7.0, "raised")]
    assert run("mid < 100", [mid(1, 99), mid(2, 100.5), mid(3, 101.5)], hysteresis="1") == [(1.0, "raised"), (3.0, "resolved")]
    assert run("not mid > 100", [mid(1, 99), mid(2, 100.5), mid(3, 101.5)], hysteresis="1") == [
        (1.0, "raised"),
        (3.0, "resolved"),
    ]


def test_what_ended_by_until_while_beyond_needs_a_new_crossing():
    text = "mid crosses above 100 until mid > 110"
    events = [mid(1, 99), mid(2, 101), mid(3, 111), mid(4, 105), mid(5, 99), mid(6, 101)]
    assert run(text, events) == [(2.0, "raised"), (3.0, "resolved"), (6.0, "raised")]


def test_what_ended_by_until_while_it_holds_waits_until_it_was_false():
    text, events = "mid > 100 until mid > 110", [mid(1, 101), mid(2, 111), mid(3, 112), mid(4, 101)]
    first = engine(text)
    assert told(first.feed(events)) == [(1.0, "raised"), (2.0, "resolved")]
    later = Engine()
    later.add(Rule.of(name="r", text=text), first.states()["r"])
    assert told(later.feed([mid(5, 101), mid(6, 99), mid(7, 101)])) == [(7.0, "raised")]


def test_two_alerts_of_one_instant_are_two():
    alerts = engine("price crosses above 100").feed([trade(1, price) for price in (99, 101, 99, 101, 99)])
    assert told(alerts) == [(1.0, "raised"), (1.0, "resolved")] * 2
    assert [a.id for a in alerts] == [f"r/{BTC}/{ns(1)}"] * 2 + [f"r/{BTC}/{ns(1)}.1"] * 2


def test_cool_down_delays_what_still_holds_and_drops_what_does_not():
    events = [mid(1, 101), mid(2, 99), mid(3, 101), mid(4, 99)]
    assert run("mid > 100", events, cooldown="10s") == [(1.0, "raised"), (2.0, "resolved")]
    assert run("mid > 100", events[:3], until=20, cooldown="10s") == [(1.0, "raised"), (2.0, "resolved"), (11.0, "raised")]


def test_once_is_once_for_all_instruments_until_it_was_muted_and_unmuted():
    made = engine("mid > 100", once=True)
    assert told(made.feed([mid(1, 101), mid(2, 99), mid(3, 101), mid(4, 101, USD)])) == [(1.0, "raised"), (2.0, "resolved")]
    rule = made.rules["r"].rule
    for muted in (False, True, False):
        assert made.advance(ns(4)) == []
        made.replace(rule, muted=muted)
    assert [(a.instrument, a.ts_event) for a in made.advance(ns(5))] == [(BTC, ns(4))]


def test_each_instrument_has_a_state_of_its_own():
    alerts = engine("mid > 100").feed([mid(1, 101), mid(2, 101, USD), mid(3, 99)])
    assert [(a.instrument, a.state) for a in alerts] == [(BTC, "raised"), (USD, "raised"), (BTC, "resolved")]
    assert len({a.id for a in alerts}) == 2
    assert alerts[0].id == alerts[2].id


@pytest.mark.parametrize("scope", ["binance:*", "binance:BTC-*", BTC, f"{BTC}, kraken:BTC-USD"])
def test_scopes(scope):
    alerts = engine(f"{scope} mid > 100").feed([mid(1, 101), mid(2, 101, USD)])
    assert [a.instrument for a in alerts] == [BTC]


def test_between_instruments():
    text = f"{USD}.mid - {BTC}.mid > 20"
    assert run(text, [mid(1, 100), mid(2, 121, USD), mid(3, 110), mid(4, 131, USD)]) == [
        (2.0, "raised"),
        (3.0, "resolved"),
        (4.0, "raised"),
    ]
    assert run(text, [mid(2, 121, USD)]) == []


def test_simulated_data_is_marked_and_found_by_the_real_name():
    (alert,) = engine(f"{BTC} mid > 100").feed([mid(1, 101, SIM, flags=SIMULATED)])
    assert alert.flags == SIMULATED
    assert alert.instrument == SIM
    assert "simulated" in alert.text
    (alert,) = engine(f"{USD}.mid - {BTC}.mid > 20").feed([mid(1, 1, SIM, flags=SIMULATED), mid(1, 50, "sim-coinbase:BTC-USD")])
    assert alert.flags == SIMULATED
    assert told(engine("binance:* mid > 100").feed([mid(1, 101, SIM, flags=SIMULATED)])) == [(1.0, "raised")]
    assert engine("kraken:* mid > 100").feed([mid(1, 101, SIM, flags=SIMULATED)]) == []


@pytest.mark.parametrize(
    "trouble",
    [
        mid(2, 101, flags=UNPROVEN),
        mid(2, 101, origin="venue"),  # the venue's own, beside a book that is lost
    ],
)
def test_a_book_that_is_not_proven_raises_nothing(trouble):
    events = [mid(1, 99), status(1.5, "gap"), trouble]
    assert run("mid > 100", events) == []
    assert run("mid > 100", [*events, status(3, "synced"), mid(3, 101)]) == [(3.0, "raised")]


@pytest.mark.parametrize("kind", ["gap", "disconnected", "stale", "crossed", "resyncing"])
def test_what_is_in_doubt_raises_nothing_by_time_either(kind):
    assert run("mid > 100 for 5s", [mid(1, 101), status(2, kind)], until=60) == []


def test_a_lost_connection_leaves_all_of_its_venue_in_doubt():
    lost = status(2, "disconnected", "", "", reason="connection 3 lost, code 1006")
    planned = status(2, "disconnected", "", "", reason="connection 3 planned, code 1000: replaced")
    events = [trade(1, 101), trade(1, 101, USD)]
    assert run("price > 100 for 5s", [*events, lost], until=60) == [(6.0, "raised")]  # of the other venue
    assert run("price > 100 for 5s", [*events, planned], until=60) == [(6.0, "raised")] * 2


def test_what_is_raised_stays_so_while_nothing_is_known():
    assert run("mid > 100", [mid(1, 101), status(2, "gap"), mid(3, 102), mid(4, 99)]) == [(1.0, "raised"), (4.0, "resolved")]


def test_a_crossing_in_a_gap_is_told_after_it():
    assert run("mid crosses above 100", [mid(1, 99), status(2, "gap"), mid(3, 101)]) == [(3.0, "raised")]


@pytest.mark.parametrize("flag", [Flag.LATE, Flag.RECOVERED, Flag.OFF_BOOK])
def test_trades_of_the_past_are_no_price(flag):
    assert run("price > 100", [trade(1, 99), trade(2, 101, flags=int(flag))]) == []


def test_changes_do_not_look_over_a_hole():
    text = "price changes by 1% within 5m"
    assert run(text, [trade(1, 100), trade(2, 101)]) == [(2.0, "raised")]
    hole = status(1.5, "gap", "trades")
    assert run(text, [trade(1, 100), hole, trade(2, 101)]) == []
    assert run(text, [trade(1, 100), hole, trade(2, 101), trade(3, 102.01)]) == [(3.0, "raised")]
    assert run(text, [trade(1, 100), hole, trade(2, 101)], incomplete=True) == [(2.0, "raised")]
    assert run("price falls by 1% within 5m", [trade(1, 100), trade(2, 101), trade(3, 100.1)]) == []
    assert run("price rises by 5 within 5m", [trade(1, 100), trade(2, 105)]) == [(2.0, "raised")]


def test_changes_end_by_time():
    assert run("price changes by 1% within 5m", [trade(1, 100), trade(2, 101)], until=400)[1:] == [
        (302.0, "resolved")
    ]  # it was 100 until 2


def test_samples_that_are_incomplete_raise_nothing():
    events = [sample(1, volume_1m=5.0, incomplete="volume_1m"), sample(2, volume_1m=6.0)]
    assert run("volume_1m > 4", events) == [(2.0, "raised")]
    assert run("volume_1m > 4", events, incomplete=True) == [(1.0, "raised")]
    assert run("volume_1m < 4", [sample(1, vwap_5m=1.0)]) == []


def test_samples_of_a_silent_instrument_raise_nothing():
    quiet = [trade(1, 100), status(2, "stale", "trades"), sample(3, volume_1m=0.0)]
    assert run("volume_1m < 1", quiet) == []
    assert run("volume_1m < 1", [*quiet, trade(4, 100), sample(5, volume_1m=0.5)]) == [(5.0, "raised")]


def test_bars_that_are_incomplete_raise_nothing():
    assert run("bar_1m.close > 100", [bar(60, 101, complete=False), bar(120, 101)]) == [(120.0, "raised")]
    assert run("close_1m > 100", [bar(60, 101, complete=False)], incomplete=True) == [(60.0, "raised")]
    assert run("close_1m > 100", [bar(60, 99), bar(61, 101, origin="venue")]) == []


def test_status_rules_are_about_integrity_itself():
    text = "status is gap or stale"
    assert run(text, [status(1, "gap"), status(2, "resyncing"), status(3, "synced")]) == [(1.0, "raised"), (2.0, "resolved")]
    assert run(text, [status(1, "gap", "trades"), status(2, "recovered", "trades")]) == [(1.0, "raised"), (2.0, "resolved")]
    assert run(text, [status(1, "gap", "trades"), status(5, "gap", "trades")], until=90) == [
        (1.0, "raised"),
        (65.0, "resolved"),
    ]
    assert run(text, [status(1, "stale", "trades"), status(2, "synced", "book")], until=90) == [(1.0, "raised")]
    assert run("status is not synced", [status(1, "synced"), status(2, "gap")]) == [(2.0, "raised")]


def test_status_of_connections():
    lost = status(1, "disconnected", "", "", reason="connection 1 lost, code 1006")
    back = status(3, "connected", "", "", reason="connection 2 to x with 2 streams")
    (raised, resolved) = engine("status is disconnected").feed([lost, back])
    assert (raised.instrument, raised.state, resolved.state) == ("", "raised", "resolved")
    assert "binance:" in raised.text and "connection 1 lost" in raised.text
    assert run(f"{BTC} status is disconnected", [mid(0, 1), lost, back]) == [(1.0, "raised"), (3.0, "resolved")]
    assert run(f"{USD} status is disconnected", [mid(0, 1, USD), lost]) == []
    planned = status(1, "disconnected", "", "", reason="connection 1 planned, code 1000")
    assert run("status is disconnected", [planned]) == []


def test_words_amounts_and_counts():
    assert run("side is sell and size > 5", [trade(1, 1, size=9), trade(2, 1, size=9, side="sell")]) == [(2.0, "raised")]
    events = [trade(0, 1, size=1), *(trade(10 + i / 10, 1, size=3) for i in range(5))]
    assert run("sum(size, 2s) > 10", events) == [(10.3, "raised")]
    assert run("count(price, 2s) >= 4", events) == [(10.3, "raised")]
    t = ns(1)
    forced = Liquidation(BTC, t, t, 0, 100.0, 20.0, "sell", 99.0, "1")
    assert run("liquidation_notional > 1k and liquidation_side is sell", [forced]) == [(1.0, "raised")]
    assert run("funding_rate > 1bps and mark > 5", [Ticker(BTC, t, t, 0, funding_rate=0.0002), Ticker(BTC, t, t, 0, mark=6.0)])


def test_a_window_is_not_known_before_it_is_whole():
    steady = [mid(i / 10, 100.0) for i in range(0, 150, 5)]
    assert run("mid > avg(mid, 10s) + 1", [*steady[:12], mid(9, 120)]) == []
    assert run("mid > avg(mid, 10s) + 1", [*steady, mid(15, 120)]) == [(15.0, "raised")]
    assert run("mid > avg(mid, 10s) + 1", [*steady, status(14.6, "gap"), mid(15, 120)]) == []
    assert run("mid > max(mid, 10s)", [*steady, mid(15, 120)]) == [(15.0, "raised")]


def test_warming_is_told():
    made = engine("mid > avg(mid, 10s)")
    made.feed([mid(0, 1)])
    assert made.warming() == {"r": 10 * SECOND}
    made.feed([mid(11, 1)])
    assert made.warming() == {}


def test_kleene():
    assert run("mid > 5 or status is gap", [status(1, "gap")]) == [(1.0, "raised")]
    assert run("not (mid > 5 and price > 5)", [mid(1, 9)]) == []
    assert run("not (mid > 5 and price > 5)", [mid(1, 1)]) == [(1.0, "raised")]


def test_a_schedule_raises_at_its_opening_what_holds_then():
    at = datetime(2026, 11, 20, 14, 0, tzinfo=UTC).timestamp()
    made = engine("mid > 100", schedule="mon-fri 09:30-16:00 America/New_York")
    assert made.feed([mid(at, 101)]) == []
    assert told(made.advance(ns(at + 7200))) == [(at + 1800, "raised")]


def test_muted_raises_nothing_and_quiet_waits():
    made = Engine(quiet_until=ns(5))
    made.add(Rule.of(name="r", text="mid > 100"))
    made.add(Rule.of(name="m", text="mid > 100"), muted=True)
    assert made.feed([mid(1, 101)]) == []
    assert [(a.rule, a.ts_event) for a in made.advance(ns(10))] == [("r", ns(5))]
    made.replace(made.rules["m"].rule, muted=False)
    assert [a.rule for a in made.advance(ns(11))] == ["m"]


def test_a_restart_raises_nothing_twice():
    text = "mid crosses above 100"
    one = engine(text)
    (raised,) = one.feed([mid(1, 99), mid(2, 101)])
    other = Engine()
    other.add(Rule.of(name="r", text=text), one.states()["r"])
    assert other.rows()["r"]["state"] == "raised"  # also while nothing of its instrument has come yet
    assert other.feed([mid(10, 102)]) == []
    (resolved,) = other.feed([mid(11, 99)])
    assert (resolved.id, resolved.state) == (raised.id, "resolved")
    third = Engine()
    third.add(Rule.of(name="r", text=text), other.states()["r"])
    assert told(third.feed([mid(20, 101)])) == [(20.0, "raised")]  # it was below when the second one ended
    fourth = Engine()
    fourth.add(Rule.of(name="r", text="mid crosses above 99"), one.states()["r"])
    assert fourth.feed([mid(10, 98)]) == []  # another rule: nothing of the old one is taken over


def test_cool_down_and_once_survive_a_restart():
    first = engine("mid > 100", cooldown="1m")
    first.feed([mid(1, 101), mid(2, 99)])
    again = Engine()
    again.add(Rule.of(name="r", text="mid > 100", cooldown="1m"), first.states()["r"])
    assert told(again.feed([mid(30, 101)]) + again.advance(ns(70))) == [(61.0, "raised")]
    once = engine("mid > 100", once=True)
    once.feed([mid(1, 101), mid(2, 99)])
    later = Engine()
    later.add(Rule.of(name="r", text="mid > 100", once=True), once.states()["r"])
    assert later.feed([mid(3, 101)]) == []


def test_rules_come_and_go_while_it_runs():
    made = engine("mid > 100")
    made.feed([mid(1, 101)])
    made.add(Rule.of(name="b", text="mid > 50"))
    assert told(made.advance(ns(2))) == [(1.0, "raised")]  # it holds already
    made.remove("r")
    assert [a.rule for a in made.feed([mid(3, 40)])] == ["b"]
    assert made.needs().metrics == ()
    made.replace(Rule.of(name="b", text="vwap_5m > 3 * avg(volume_1m, 1h)"))
    assert made.needs().metrics == ("vwap_5m", "volume_1m")


def group(at: float, incomplete: str | None = None, flags: int = 0, **values: float) -> Metrics:
    t = ns(at)
    named = {name.replace("_2", ".2"): value for name, value in values.items()}
    return Metrics("group:btc", t, t, flags, 100.0, 1.0, 100.0, None, 100.0, None, {"members": 2.0, **named}, incomplete)


def test_groups():
    events = [group(1, arbitrage_bps=-1.0), group(2, None, SIMULATED, arbitrage_bps=2.0, basis_2=5.0)]
    (alert,) = engine("group:btc arbitrage_bps > 1 and mid > 99").feed(events)
    assert (alert.instrument, alert.ts_event, alert.flags) == ("group:btc", ns(2), SIMULATED)
    assert run("arbitrage_bps > 1", events) == [(2.0, "raised")]
    assert run("group:btc.basis.2 > 1", events) == [(2.0, "raised")]
    assert run("group:btc members < 3 for 1s", events, until=3) == [(2.0, "raised")]
    assert run("group:* mid > 1", events) == [(1.0, "raised")]
    assert run("mid > 1", events) == []  # a group is no instrument
    late = [group(3, "correlation.2", correlation_2=0.9)]
    assert run("group:btc correlation.2 > 0.5", late) == []
    assert run("group:btc correlation.2 > 0.5", late, incomplete=True) == [(3.0, "raised")]


def test_one_kind_of_trades_counts_where_both_are_streamed():
    both = int(Flag.AGGREGATED)
    events = [
        trade(0, 1),
        *(t for i in range(5) for t in (trade(10 + i / 10, 1, size=3), trade(10 + i / 10, 1, size=3, flags=both))),
    ]
    assert run("sum(size, 2s) > 10", events) == [(10.3, "raised")]


def test_what_an_alert_says():
    (alert,) = engine(f"{BTC} mid crosses above 100", severity="critical").feed([mid(1, 99), mid(2, 101)])
    assert alert.text == "binance:BTC-USDT mid crosses above 100: mid is 101"
    assert (alert.value, alert.severity, alert.rule, alert.id) == (101.0, "critical", "r", f"r/{BTC}/2000000000")


@pytest.mark.parametrize(
    "text",
    ["mid > 1.01 * avg(mid, 1m)", "mid rises by 1% within 1m", "count(price, 1m) < 1", "avg(avg(mid, 10s), 30s) < 103"],
)
def test_a_night_in_which_nothing_comes_is_the_same_in_one_leap_and_second_by_second(text):
    night = 3 * 3600
    events = [mid(i, 100 + i % 2) for i in range(90)] + [trade(90, 100), mid(91, 104)]
    after = [mid(night + i, 104 + 2 * (i > 5)) for i in range(40)]
    whole, parts = engine(text), engine(text)
    found = whole.feed([*events, *after])
    expected = parts.feed(events)
    for second in range(92, night):
        expected += parts.advance(ns(second))
    expected += parts.feed(after)
    assert found == expected
    assert found, "it was raised"

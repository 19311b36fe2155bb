"""The rules of windows one by one: holes, flags, keys, bounds, times that cannot be true, other events than trades."""

import math

import numpy as np
import pytest

from tapeline.clock import MILLI, SECOND
from tapeline.errors import UsageError
from tapeline.events import Bar, Flag, Liquidation, Metrics, Quote, Status, Ticker, Trade
from tapeline.market.windows.aggregates import function, parse
from tapeline.market.windows.cells import whole
from tapeline.market.windows.kinds import nanoseconds, session, sliding, tumbling
from tapeline.market.windows.operator import Windows
from tapeline.market.windows.results import Late, Limits, Window
from tapeline.market.windows.state import put_away, taken_up
from tests.market.windows_model import LAG, T0, X, Y, lates, operator, run, trade

COUNT = {"n": "count"}


def status(kind, ts, *, name=X, channel="trades", venue="v", ids=(None, None), count=None):
    return Status(name, ts, ts, 0, kind, venue, channel, "", ids[0], ids[1], count)


def told(out):
    return [((w.start - T0) // SECOND, w.revision, w.complete) for w in out if isinstance(w, Window)]


def seconds(*times, **more):
    return [trade(T0 + int(s * SECOND), **more) for s in times]


@pytest.mark.parametrize(
    "said",
    [
        status("gap", T0 + 2 * SECOND),
        status("disconnected", T0 + 2 * SECOND),
        status("connected", T0 + 2 * SECOND),
        status("disconnected", T0 + 2 * SECOND, name="", channel="", count=1),
        status("gap", T0 + 2 * SECOND, name="", channel="tape"),
        status("gap", T0 + 2 * SECOND, name="", channel="consumer", venue=""),
    ],
)
def test_a_hole_marks_what_it_touches_from_the_last_record_to_the_next(said):
    events = [*seconds(0, 1.5), said, *seconds(3.5, 4.5, 5.5)]
    assert told(run(operator(tumbling("1s"), COUNT), events)) == [
        (0, 0, False), (1, 0, False), (3, 0, False), (4, 0, True), (5, 0, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        status("gap", T0 + 2 * SECOND, name=Y),
        status("gap", T0 + 2 * SECOND, channel="book"),
        status("disconnected", T0 + 2 * SECOND, name="", channel="", venue="other", count=1),
        status("connected", T0 + 2 * SECOND, name="", channel="", count=2),
        status("late", T0 + 2 * SECOND),
        status("stale", T0 + 2 * SECOND),
    ],
)
def test_what_is_of_others_marks_nothing(said):
    events = [status("connected", T0, name="", channel="", count=1), *seconds(0, 1.5), said, *seconds(2.5, 3.5)]
    assert told(run(operator(tumbling("1s"), COUNT), events))[1:3] == [(1, 0, True), (2, 0, True)]


def test_a_new_session_is_known_by_its_connections_number():
    begin = status("connected", T0, name="", channel="", count=1)
    events = [begin, *seconds(0, 1.5), begin, *seconds(2.5, 3.5, 4.5)]
    assert told(run(operator(tumbling("1s"), COUNT), events))[:4] == [(0, 0, False), (1, 0, False), (2, 0, False), (3, 0, True)]


def test_a_hole_that_is_told_late_or_mended_gives_windows_out_again():
    windows, out = operator(tumbling("1s"), COUNT, lateness=20 * SECOND), []
    windows.add_many(seconds(0, 1.5), out)
    windows.advance(T0 + 3 * SECOND, out)
    assert told(out) == [(0, 0, False), (1, 0, True)]
    windows.add(status("gap", T0 + 3 * SECOND, ids=(5, 6)), out)
    assert told(out)[2:] == [(1, 1, False)]
    windows.add_many(seconds(4.5, 5.5), out)
    assert told(out)[3:] == [(4, 0, False)]
    windows.add(trade(T0 + 2 * SECOND, recv=T0 + 6 * SECOND, flags=int(Flag.RECOVERED)), out)
    assert told(out)[4:] == [(2, 0, False)]
    windows.add(status("recovered", T0 + 6 * SECOND, ids=(5, 6)), out)
    assert told(out)[5:] == [(1, 2, True), (2, 1, True), (4, 1, True)]
    assert [w.flags & Flag.RECOVERED for w in out[-3:]] == [0, Flag.RECOVERED, 0]


def test_a_window_that_takes_no_more_is_not_given_out_again_from_what_is_left_of_it():
    """That of [0, 60) was empty when it closed, and first given out, by late records, after that of [15, 75)."""
    start = 10  # T0 is 5 s behind a multiple of 15
    said = status("gap", T0 - 180 * SECOND, ids=(7, 9)), status("recovered", T0 + (start + 132) * SECOND, ids=(7, 9))
    late = [trade(T0 + (start + at) * SECOND, recv=T0 + (start + 77) * SECOND) for at in (5, 20)]
    events = [*seconds(-190), said[0], *seconds(start + 70, start + 76), *late, *seconds(start + 132), said[1]]
    out = run(operator(sliding("1m", "15s"), COUNT, lateness=60 * SECOND), events)
    windows = [w for w in out if isinstance(w, Window) and w.start == T0 + start * SECOND]
    assert [(w.n, w.complete) for w in windows] == [(1, False), (2, False)]


def test_flags_are_carried_and_a_revision_by_a_late_record_says_so():
    simulated = int(Flag.SIMULATED)
    events = [*seconds(0, 1.5, flags=simulated), trade(T0 + MILLI, recv=T0 + 2 * SECOND, flags=simulated)]
    first, again, last = run(operator(tumbling("1s"), COUNT, lateness=5 * SECOND), events)
    assert (first.flags, again.flags, last.flags) == (simulated, simulated | Flag.LATE, simulated)


def test_a_key_of_ones_own_and_records_that_are_left_out():
    events = [
        trade(T0, side="buy"),
        trade(T0 + 1, side="sell", name=Y),
        trade(T0 + 2, side="unknown"),
        trade(T0 + 3, side="sell"),
        trade(T0 + 4, side="sell", size=100.0),
    ]
    windows = operator(
        tumbling("1s"), COUNT, key=lambda t: None if t.side == "unknown" else (t.side, 1), where=lambda t: t.size < 50
    )
    out = run(taken_up_again(windows, events[:2]), events[2:])
    assert [(w.key, w.instrument, w.n) for w in out] == [(("buy", 1), X, 1), (("sell", 1), "", 2)]


def taken_up_again(windows, events):
    windows.add_many(events, [])
    again = Windows(windows.kind, windows.plan.aggregates, key=windows._key, where=windows._where)
    return taken_up(again, put_away(windows))


def test_of_too_many_keys_the_silent_ones_end():
    windows, out = operator(tumbling("1m"), COUNT, limits=Limits(keys=3)), []
    for i, name in enumerate("abcd"):
        windows.add(trade(T0 + i, name=f"v:{name}"), out)
    assert [(w.key, w.complete) for w in out] == [("v:a", False)]
    assert windows.counts["keys_dropped"] == 1
    assert set(windows.keys) == {"v:b", "v:c", "v:d"}


def test_rows_past_the_limit_are_counted_and_spoil_the_window():
    asked = {"mid": "median(price)", "kinds": "distinct(id)"}
    windows = operator(tumbling("1s"), asked, limits=Limits(rows=3))
    events = [*seconds(0), *(trade(T0 + SECOND + i, float(i), number=str(i)) for i in range(5)), *seconds(2)]
    _, w, _ = run(windows, events)
    assert (w.mid, w.kinds, w.dropped, w.complete, w.records) == (1.0, 3, 2, False, 5)
    assert len(w.rows) == 3
    assert windows.counts["rows_dropped"] == 2


def test_sessions_past_the_limit_are_forgotten_and_their_late_records_say_so():
    windows, out = operator(session("1s"), COUNT, lateness=3600 * SECOND, limits=Limits(windows=2)), []
    windows.add_many([*seconds(0, 10, 20), trade(T0 + 1, recv=T0 + 21 * SECOND)], out)
    assert [(o.why, o.windows) for o in lates(out)] == [("forgotten", ((T0 + 1, T0 + 1 + SECOND),))]
    assert windows.counts["windows_dropped"] == 1


def test_a_time_that_cannot_be_true_is_placed_by_our_clock():
    false = trade(T0 + 3600 * SECOND, 9.0, recv=T0 + 500 * MILLI + LAG)
    bad = trade(T0 - 10**15, 8.0, recv=T0 + 600 * MILLI + LAG, flags=int(Flag.BAD_TIME))
    (w, _) = run(operator(tumbling("1s"), COUNT), [*seconds(0), false, bad, *seconds(1)])
    assert [row[0] - T0 for row in w.rows] == [0, 500 * MILLI, 600 * MILLI]


def test_a_false_time_that_came_first_is_overcome():
    false = trade(T0 + 10**17, recv=T0 + LAG)
    out = run(operator(tumbling("1s"), COUNT), [false, *seconds(*(1 + i / 100 for i in range(60)), 2.5)])
    assert len(lates(out)) == 49
    assert [((w.start - T0) // SECOND, w.n) for w in out if isinstance(w, Window)][1:] == [(1, 11), (2, 1)]


def test_a_backlog_is_late_and_ends_nothing():
    backlog = [trade(T0 + i, recv=T0 + 300 * SECOND) for i in range(100)]
    out = run(operator(tumbling("1s"), COUNT), [*seconds(299), *backlog])
    assert len([o for o in out if isinstance(o, Late)]) == 100


def test_off_book_trades_and_a_second_kind_of_the_same_do_not_count():
    off, aggregated = int(Flag.OFF_BOOK), int(Flag.AGGREGATED)
    events = [*seconds(0, flags=off), *seconds(0.1), *seconds(0.2, flags=aggregated), *seconds(0.3)]
    (w,) = run(operator(tumbling("1s"), COUNT), events)
    assert w.n == 2


def quote(ms, bid, ask, origin="venue"):
    ts = T0 + ms * MILLI
    return Quote(X, ts, ts, 0, bid, 1.0, ask, 2.0, None, origin)


def test_quotes_of_one_origin_and_what_is_not_known_is_left_out():
    asked = {"mid": "last(mid)", "wide": "mean(spread)", "bids": "count(bid)", "n": "count", "top": "max(ask)"}
    events = [quote(0, 1.0, 3.0), quote(1, 7.0, 9.0, "book"), quote(2, None, 5.0), quote(3, 2.0, 3.0)]
    (w,) = run(operator(tumbling("1s"), asked, of=Quote), events)
    assert (w.mid, w.wide, w.bids, w.n, w.top) == (2.5, 1.5, 2, 3, 5.0)
    (w,) = run(operator(tumbling("1s"), asked, of=Quote, where=lambda q: q.origin == "book"), events)
    assert (w.mid, w.n) == (8.0, 1)


def test_a_function_gets_nan_for_what_is_not_known_also_after_the_state_was_away():
    events = [quote(0, 1.0, 3.0), quote(2, None, 5.0), quote(3, 2.0, 3.0)]
    bids = function("bids", lambda _, bid, ask: [bid.tolist(), ask.sum()], ("bid", "ask"), Quote)
    one, two = Windows(tumbling("1s"), [bids], of=Quote), Windows(tumbling("1s"), [bids], of=Quote)
    one.add_many(events[:2], [])
    (w,) = run(taken_up(two, put_away(one)), events[2:])
    assert w.bids == [pytest.approx([1.0, math.nan, 2.0], nan_ok=True), 11.0]


def test_any_number_of_any_event():
    ts = T0
    metrics = Metrics(X, ts, ts, 0, 5.0, None, None, None, None, None, {"vwap_5m": 4.5})
    (w,) = run(operator(tumbling("1s"), {"v": "last(vwap_5m)", "mid": "max(mid)", "none": "sum(other)"}, of=Metrics), [metrics])
    assert (w.v, w.mid, w.none) == (4.5, 5.0, None)
    (w,) = run(operator(tumbling("1s"), {"oi": "mean(open_interest)"}, of=Ticker), [Ticker(X, ts, ts, 0, open_interest=7.0)])
    assert w.oi == 7.0
    forced = Liquidation(X, ts, ts, 0, 10.0, 2.0, "sell", None, "")
    (w,) = run(operator(tumbling("1s"), {"v": "sell_volume", "m": "notional"}, of=Liquidation), [forced])
    assert (w.v, w.m) == (2.0, 20.0)
    bar = Bar(X, ts, ts, 0, "1s", ts, 1.0, 2.0, 0.5, 1.5, 3.0, None, None, None, None, True, 0, "trades")
    (w,) = run(operator(tumbling("1m"), {"v": "sum(volume)", "b": "sum(buy_volume)"}, of=Bar), [bar])
    assert (w.v, w.b) == (3.0, None)


def test_a_function_names_its_features_and_may_not_take_anothers_name():
    both = [parse("n", "count", Trade), function("f", lambda _, p, s: {"top": p.max(), "n": 1}, ("price", "size"), Trade)]
    with pytest.raises(UsageError, match="'n', which is the name of something else"):
        run(Windows(tumbling("1s"), both), seconds(0))
    sided = function("f", lambda _, side: np.float64(side.sum()), ("side",), Trade)
    (w,) = run(Windows(tumbling("1s"), [sided]), [trade(T0), trade(T0 + 2, side="sell"), trade(T0 + 1, side="unknown")])
    assert w.f == 0.0
    assert type(w.f) is float


def test_sums_are_exact_however_fine_large_or_many():
    assert 0.1 + 0.2 != 0.3
    rows = [(0.1, 0.1), (0.2, 1e-9), (123456789012345.0, 1e15), (1e-20, 3.0), (0.1, 0.2)]
    events = [trade(T0 + i, price, size) for i, (price, size) in enumerate(rows)]
    asked = {"a": "sum(price)", "b": "volume", "m": "notional", "v": "var(size)"}
    (w,) = run(operator(tumbling("1s"), asked), events)
    assert (w.a, w.b, w.m) == (123456789012345.4, 1000000000000003.3, 1.23456789012345e29)
    assert math.isclose(w.v, np.var([s for _, s in rows], ddof=1), rel_tol=1e-12)
    array, digits = whole(np.array([1e-20, 1e15]), 0)
    assert (list(array), digits) == ([1, 10**35], 20)


def test_weeks_begin_on_monday_and_an_offset_moves_windows():
    monday = 4 * 86_400 * SECOND
    assert tumbling("1w").begin(monday + 5) == monday
    assert tumbling("1h", offset="30m").begin(3600 * SECOND) == 1800 * SECOND
    assert sliding("3s", "2s").pane == SECOND
    assert nanoseconds("x", "250us") == 250_000
    with pytest.raises(UsageError, match="x True is no length"):
        nanoseconds("x", True)


def test_windows_that_hold_nothing_do_not_come_out_however_long_the_silence():
    out = run(operator(sliding("5m", "1s"), COUNT), seconds(0, 30 * 86_400))
    assert sum(w.n for w in out) == 600
    assert len(out) == 600


@pytest.mark.parametrize(("before", "late"), [(0, 1), (1, 0)])
def test_a_window_takes_records_until_the_mark_is_the_lateness_past_its_end(before, late):
    start = T0 - T0 % SECOND
    events = [trade(start), trade(start + 3 * SECOND - before), trade(start + 1, recv=start + 3 * SECOND + LAG)]
    assert len(lates(run(operator(tumbling("1s"), COUNT, lateness=2 * SECOND), events))) == late


@pytest.mark.parametrize(("apart", "sessions"), [(SECOND, 2), (SECOND - 1, 1)])
@pytest.mark.parametrize("order", [1, -1])
def test_records_a_whole_gap_apart_are_of_two_sessions(apart, sessions, order):
    events = [trade(T0, recv=T0 + SECOND), trade(T0 + apart, recv=T0 + SECOND)][::order]
    out = run(operator(session("1s"), COUNT, lateness=9 * SECOND), events)
    last = {w.start: w for w in out}
    assert len([w for w in last.values() if not w.retracted]) == sessions

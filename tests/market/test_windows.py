"""Windows against the long way (windows_model.py): any order of arrival, any batches, any timers."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.clock import MILLI, SECOND
from tapeline.market.windows.kinds import session, sliding, tumbling
from tapeline.market.windows.results import Window
from tapeline.market.windows.state import put_away, step, taken_up
from tests.market.windows_model import (
    LAG,
    T0,
    X,
    Y,
    accepted,
    close,
    expected,
    finals,
    lates,
    operator,
    run,
    trade,
    values,
)

KINDS = [tumbling("1s"), sliding("3s", "1s"), sliding("5s", "2s", offset="300ms"), session("700ms")]
LATENESS = 4 * SECOND
DECIMALS = st.integers(1, 10**7).map(lambda n: n / 10**4)


@st.composite
def arrivals(draw, most_delay=LATENESS, names=(X, Y), span=12_000):
    """Trades in the order of arrival: each up to `most_delay` after the least lag."""
    made = draw(
        st.lists(
            st.tuples(
                st.integers(0, span),
                st.integers(0, most_delay // MILLI),
                DECIMALS,
                DECIMALS,
                st.sampled_from(["buy", "sell", "unknown"]),
                st.sampled_from(names),
            ),
            min_size=1,
            max_size=40,
        )
    )
    trades = [
        trade(T0 + ms * MILLI, price, size, side, recv=T0 + LAG + (ms + delay) * MILLI, name=name)
        for ms, delay, price, size, side, name in made
    ]
    return sorted(trades, key=lambda t: t.ts_recv)


@pytest.mark.parametrize("kind", KINDS)
@given(trades=arrivals())
@settings(max_examples=60)
def test_in_any_order_within_the_lateness_the_last_words_are_those_of_all_records(kind, trades):
    out = run(operator(kind, lateness=LATENESS), trades)
    assert lates(out) == []
    want, got = expected(kind, trades), finals(out)
    assert got.keys() == want.keys()
    for name, (end, values_) in want.items():
        assert got[name].end == end
        assert got[name].records == values_["n"]
        assert close(got[name].values, values_), name


@pytest.mark.parametrize("kind", KINDS)
@given(trades=arrivals())
@settings(max_examples=30)
def test_each_window_is_given_out_with_revisions_that_count_up(kind, trades):
    seen = {}
    for w in run(operator(kind, lateness=LATENESS), trades):
        assert w.revision == seen.get((w.key, w.start), -1) + 1
        seen[w.key, w.start] = w.revision


@pytest.mark.parametrize("kind", KINDS[:3])
@given(trades=arrivals(most_delay=20 * SECOND, names=(X,)), lateness=st.sampled_from([0, SECOND, LATENESS]))
@settings(max_examples=60)
def test_what_is_later_than_the_lateness_comes_out_once_with_the_windows_it_missed(kind, trades, lateness):
    out = run(operator(kind, lateness=lateness), trades)
    taken, refused = accepted(kind, trades, lateness)
    assert [(o.event, o.windows) for o in lates(out)] == refused
    assert all(o.why == "lateness" and o.key == X for o in lates(out))
    got = finals(out)
    assert {start for _, start in got} == set(taken)
    for start, mine in taken.items():
        assert close(got[X, start].values, values(mine))


@given(trades=arrivals(most_delay=20 * SECOND, names=(X,)), lateness=st.sampled_from([0, SECOND]))
@settings(max_examples=60)
def test_of_sessions_each_record_is_in_one_or_late(trades, lateness):
    out = run(operator(session("700ms"), lateness=lateness), trades)
    rows = [row for w in finals(out).values() for row in w.rows]
    late = [(o.event.ts_event, o.event.price, o.event.size) for o in lates(out)]
    assert sorted(rows + late) == sorted((t.ts_event, t.price, t.size) for t in trades)
    ends = sorted((w.start, w.end) for w in finals(out).values())
    assert all(one[1] <= two[0] for one, two in pairwise(ends))


@pytest.mark.parametrize("kind", KINDS)
@given(trades=arrivals(most_delay=9 * SECOND), cuts=st.lists(st.integers(0, 40), max_size=5))
@settings(max_examples=30)
def test_batches_and_putting_the_state_away_change_nothing(kind, trades, cuts):
    whole = run(operator(kind, lateness=SECOND), trades)
    state, out, at = b"", [], 0
    for cut in [*sorted(cuts), len(trades)]:
        state, some = step(lambda: operator(kind, lateness=SECOND), state, trades[at:cut])
        out, at = out + some, max(at, cut)
    last = taken_up(operator(kind, lateness=SECOND), state)
    last.finish(out)
    assert out == whole


@pytest.mark.parametrize("kind", KINDS)
@given(trades=arrivals(most_delay=9 * SECOND), times=st.lists(st.integers(0, 20_000), max_size=30))
@settings(max_examples=30)
def test_a_clock_that_looks_at_any_moment_changes_nothing(kind, trades, times):
    quiet, watched, out = operator(kind, lateness=SECOND), operator(kind, lateness=SECOND), []
    left = sorted(T0 + ms * MILLI for ms in times)
    for t in trades:
        while left and left[0] < t.ts_recv:
            watched.advance(left.pop(0), out)
        watched.add(t, out)
    watched.finish(out, trades[-1].ts_recv)
    want = []
    quiet.add_many(trades, want)
    quiet.finish(want, trades[-1].ts_recv)
    assert out == want


def test_a_key_that_is_silent_closes_by_the_others_receive_time():
    out = []
    windows = operator(tumbling("1s"))
    windows.add(trade(T0), out)
    windows.add(trade(T0 + 400 * MILLI, name=Y), out)
    assert windows.due == T0 + SECOND + 500 * MILLI + LAG
    windows.add(trade(T0 + 1400 * MILLI, name=Y), out)
    assert [(w.key, w.ts_recv) for w in out] == [(Y, T0 + 1400 * MILLI + LAG)]
    windows.add(trade(T0 + 1800 * MILLI, name=Y), out)
    assert [(w.key, w.ts_recv) for w in out[1:]] == [(X, T0 + 1500 * MILLI + LAG)]
    out.clear()
    windows.finish(out)
    assert [(w.key, w.complete) for w in out] == [(Y, False)]


def test_a_late_record_joins_two_sessions_and_what_is_no_more_is_taken_back():
    ms = [0, 500, 2000, 2500, 9000]
    out = []
    windows = operator(session("1s"), lateness=20 * SECOND)
    windows.add_many([trade(T0 + m * MILLI, float(m)) for m in ms], out)
    assert [(w.start - T0) // MILLI for w in out] == [0, 2000]
    out.clear()
    windows.add(trade(T0 + 1250 * MILLI, recv=T0 + 9100 * MILLI), out)
    gone, joined = out
    assert (gone.start, gone.revision, gone.retracted, gone.complete) == (T0 + 2000 * MILLI, 1, True, False)
    assert (joined.start, joined.end, joined.revision) == (T0, T0 + 3500 * MILLI, 1)
    assert joined.n == 5
    assert joined.records == 5


def test_a_state_is_taken_up_only_by_the_same_windows():
    windows = operator(tumbling("1s"))
    windows.add(trade(T0), [])
    with pytest.raises(Exception, match="of other windows"):
        taken_up(operator(tumbling("2s")), put_away(windows))
    with pytest.raises(Exception, match="no state of windows"):
        taken_up(operator(tumbling("1s")), b"[]")


def test_results_are_plain_to_read():
    (w,) = run(operator(tumbling("1m")), [trade(T0, 2.5, 3.0)])
    assert isinstance(w, Window)
    assert (w.first, w.volume, w.instrument) == (2.5, 3.0, X)
    assert w.to_dict()["vwap"] == 2.5
    with pytest.raises(AttributeError, match=r"no 'open'; it has first, last"):
        _ = w.open

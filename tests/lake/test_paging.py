"""Pages follow one another without a seam, and say honestly whether there are more."""

from hypothesis import given
from hypothesis import strategies as st

from tapeline.lake.paging import newest, oldest
from tests.lake.keeping import NAME, keep
from tests.sinks.helpers import BTC, frames


@given(st.lists(st.integers(0, 40_000), max_size=80), st.integers(1, 30))
def test_pages_are_all_rows_each_once(times, limit):
    rows = sorted(times)
    found, pages, end = [], 0, 1 << 62
    while True:
        page, more = newest([t for t in rows if t < end], limit, int)
        found, pages = page + found, pages + 1
        assert len(page) <= limit or len({t // 1000 for t in page}) == 1
        if not more:
            break
        assert page
        end = page[0] // 1000 * 1000
    assert found == rows


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=40), st.integers(1, 10))
def test_no_microsecond_is_parted(times, limit):
    rows = sorted(times)
    page, more = newest(rows, limit, int)
    left = rows[: len(rows) - len(page)]
    assert more is bool(left)
    assert not left or left[-1] // 1000 < page[0] // 1000


def test_what_is_known_to_go_on_is_said():
    assert newest([1, 2], 5, int, more=True) == ([1, 2], True)
    assert newest([], 5, int) == ([], False)


def test_the_first_time_that_is_committed(tmp_path):
    events = [e for made in frames(60) for e in made]
    assert oldest(tmp_path, BTC, ("trade",)) is None
    keep(tmp_path, events)
    trades = [e.ts_event for e in events if type(e).__name__ == "Trade" and e.instrument == BTC]
    assert oldest(tmp_path, BTC, ("trade",)) == min(trades)
    assert oldest(tmp_path, "nowhere:X-Y", ("trade",)) is None
    assert NAME == BTC

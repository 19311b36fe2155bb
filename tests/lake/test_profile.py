"""The volume profile of what is kept equals that of the trades that were live."""

import random
from pathlib import Path

import tapeline as tl
from tapeline.events import Trade
from tapeline.market.profile import counted, profile
from tests.engine.feeds import SECOND, T0
from tests.lake.keeping import NAME, keep, market, session


def test_it_is_that_of_its_trades(tmp_path: Path) -> None:
    r = random.Random(9)
    events = session(r, market(r, T0, 300, 2_000))
    keep(tmp_path, events)
    start, end = T0 + 60 * SECOND, T0 + 200 * SECOND
    live = counted([e for e in events if isinstance(e, Trade) and start <= e.ts_event < end])
    wanted = profile([t.price for t in live], [t.size for t in live], [t.side for t in live], bps=5)
    assert wanted.bins
    assert tl.open(tmp_path).profile(NAME, start=start, end=end, bps=5) == wanted
    assert tl.open(tmp_path).profile(NAME, start=0, end=1).poc is None

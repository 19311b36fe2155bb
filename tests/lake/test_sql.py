"""Questions in SQL against a lake that the sink wrote; every expected value comes from the events themselves."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tapeline as tl
from tapeline.errors import IntegrityError, UsageError
from tapeline.events import Bar, Event, Flag, Quote, Status, Trade
from tapeline.lake.lake import Lake
from tapeline.lake.sql import Limits, QueryError, QueryStopped, QueryTooBig, Question
from tapeline.sinks.lake import LakeSink
from tests.sinks.helpers import BTC, ETH, T0, batches, frames, one_of_each

MADE = frames(400)
EVENTS = [e for events in MADE for e in events]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000_000


def write(data: Path, made: list[list[Event]], session: str = "s", size: int = 40) -> None:
    sink = LakeSink(data)
    sink.open()
    for batch in batches(made, session, size):
        sink.commit(batch.session, batch.seq, batch.events)
    sink.close()


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    data = tmp_path_factory.mktemp("lake")
    write(data, MADE)
    return tl.open(data)


def of(kind: type[Event], name: str = "") -> list[Event]:
    return [e for e in EVENTS if type(e) is kind and name in ("", e.instrument)]


def test_counts_by_instrument(lake):
    table = lake.sql("select instrument, count(*) as c from trades group by 1 order by 1")
    counts = Counter(e.instrument for e in of(Trade))
    assert table.to_pylist() == [{"instrument": name, "c": counts[name]} for name in sorted(counts)]


def test_a_trade_comes_back_field_by_field(lake):
    rows = lake.sql("select * from trades order by n").to_pylist()
    for row, (n, event) in zip(rows, ((n, e) for n, e in enumerate(EVENTS) if type(e) is Trade), strict=True):
        own = {name: row[name] for name in Trade.__struct_fields__}
        assert own == {name: getattr(event, name) for name in Trade.__struct_fields__}
        assert (row["session_id"], row["n"]) == ("s", n)
        assert f"{row['venue']}:{row['symbol']}" == event.instrument
        assert row["date"].isoformat() == ("2026-11-19" if event.ts_event // DAY == T0 // DAY else "2026-11-20")
        assert (row["time"] - EPOCH) // timedelta(microseconds=1) == event.ts_event // 1000


def test_every_kind_has_its_view_and_its_own_field_names(tmp_path):
    events = one_of_each()
    write(tmp_path, [events])
    lake = tl.open(tmp_path)
    views = ["trades", "quotes", "book_updates", "bar_revisions", "metrics", "tickers", "liquidations", "status", "alerts"]
    rows = {view: lake.sql(f"select * from {view} order by n").to_pylist(maps_as_pydicts="strict") for view in views}
    found = sorted((row for own in rows.values() for row in own), key=lambda row: row["n"])
    assert len(found) == len(events)
    for row, event in zip(found, events, strict=True):
        for name in event.__struct_fields__:
            value = getattr(event, name)
            levels = name in ("bids", "asks")
            assert row[name] == ([{"price": p, "size": s} for p, s in value] if levels else value), name
    assert [row["venue"] for row in rows["status"]] == ["binance", "binance"]
    assert [row["symbol"] for row in rows["status"]] == ["", "BTC-USDT"]


def test_an_empty_kind_is_an_empty_view_with_its_columns(lake):
    table = lake.sql("select * from liquidations")
    assert table.num_rows == 0
    assert {"price", "average", "time", "ts_event", "n"} <= set(table.column_names)


@pytest.mark.parametrize(
    ("where", "passes"),
    [
        (f"instrument = '{BTC}'", lambda e: e.instrument == BTC),
        (f"instrument in ('{BTC}', 'no:SUCH')", lambda e: e.instrument == BTC),
        ("venue = 'sim'", lambda e: e.instrument == ETH),
        ("symbol = 'ETH-USDT' or venue = 'nobody'", lambda e: e.instrument == ETH),
        ("instrument like 'sim:%'", lambda e: e.instrument == ETH),
        (f"ts_event between {T0} and {T0 + 10**9}", lambda e: T0 <= e.ts_event <= T0 + 10**9),
        (f"ts_event < {T0 + 10**9}", lambda e: e.ts_event < T0 + 10**9),
        ("ts_event >= ts('2026-11-20T00:00:00.25Z')", lambda e: e.ts_event >= T0 + 1_250_000_000),
        ("ts_event >= ts('2026-11-20T02:00:00.25+02:00')", lambda e: e.ts_event >= T0 + 1_250_000_000),
        ("time > '2026-11-20 00:00:01'", lambda e: e.ts_event // 1000 > (T0 + 2 * 10**9) // 1000),
        ("time > '2026-11-20 01:00:01+01'", lambda e: e.ts_event // 1000 > (T0 + 2 * 10**9) // 1000),
        ("date = '2026-11-19'", lambda e: e.ts_event < T0 + 10**9),
        (
            f"ts_event + 1 > {T0 + 10**9} and not instrument = '{BTC}'",
            lambda e: e.ts_event + 1 > T0 + 10**9 and e.instrument == ETH,
        ),
        ("has(flags, 'simulated')", lambda e: bool(e.flags & Flag.SIMULATED)),
        (f"{T0 + 10**9} > ts_event or instrument = '{ETH}'", lambda e: e.ts_event < T0 + 10**9 or e.instrument == ETH),
    ],
)
def test_filters_find_just_what_passes(lake, where, passes):
    found = lake.sql(f"select n from trades where {where} order by n")["n"].to_pylist()
    assert found == [n for n, e in enumerate(EVENTS) if type(e) is Trade and passes(e)]
    assert found


@pytest.mark.parametrize(
    ("sql", "files"),
    [
        ("select count(*) from trades", lambda f: f.kind == "trade"),
        (f"select count(*) from trades where instrument = '{BTC}'", lambda f: f.kind == "trade" and f.venue == "binance"),
        ("select count(*) from trades where venue = 'sim'", lambda f: f.kind == "trade" and f.venue == "sim"),
        (f"select count(*) from trades where ts_event < {T0}", lambda f: f.kind == "trade" and f.first_ts < T0),
        (
            f"select count(*) from (select * from quotes) where symbol = 'BTC-USDT' and ts_event between {T0} and {T0 + 10**9}",
            lambda f: f.kind == "quote" and f.venue == "binance" and f.first_ts <= T0 + 10**9 and f.last_ts >= T0,
        ),
        ("select 1", lambda _: False),
        ("select count(*) from trades where time < '2020-01-01'", lambda _: False),
        (
            f"select count(*) from trades t join quotes q using (ts_event) where t.instrument = '{BTC}' and q.instrument = '{ETH}'",
            lambda f: (f.kind, f.venue) in (("trade", "binance"), ("quote", "sim")),
        ),
        (
            f"with a as (from trades) select * from a x, a y where x.instrument = '{BTC}' and y.instrument = '{ETH}' and x.n = y.n",
            lambda f: f.kind == "trade",
        ),
        (f"select * from bars where instrument = '{BTC}'", lambda f: f.kind == "bar" and f.venue == "binance"),
    ],
)
def test_only_the_files_that_are_needed_are_opened(lake, sql, files):
    assert lake.ask(Question(sql)).files == sum(map(files, lake.catalogue().files))


def test_parameters(lake):
    one = lake.sql("select count(*) c from trades where instrument = $name and ts_event < $end", name=BTC, end=T0 + 10**9)
    assert one["c"].to_pylist() == [sum(e.instrument == BTC and e.ts_event < T0 + 10**9 for e in of(Trade))]


def test_buckets_are_exact_to_the_nanosecond(lake):
    rows = lake.sql(
        "select bucket(ts_event, '1s') t, bucket(time, '1s') w, count(*) c from trades group by 1, 2 order by 1"
    ).to_pylist()
    counts = Counter(e.ts_event // 10**9 * 10**9 for e in of(Trade))
    assert {row["t"]: row["c"] for row in rows} == counts
    assert all(row["w"].timestamp() * 10**9 == row["t"] for row in rows)


def bar(session: str, trades: int | None, *, complete: bool, revision: int = 0, open_: int = T0) -> tuple[str, Bar]:
    made = Bar(
        BTC,
        open_ + 60 * 10**9,
        open_ + 61 * 10**9,
        0,
        "1m",
        open_,
        1.0,
        2.0,
        1.0,
        2.0,
        1.0,
        None,
        None,
        None,
        trades,
        complete,
        revision,
        "trades",
    )
    return session, made


@pytest.mark.parametrize(
    ("made", "best"),
    [
        ([bar("a", 5, complete=True), bar("a", 6, complete=True, revision=1)], 1),
        ([bar("a", 5, complete=False), bar("b", 3, complete=True)], 1),
        ([bar("a", 5, complete=False), bar("b", 3, complete=False)], 0),
        ([bar("a", 5, complete=True), bar("b", 5, complete=True)], 1),
        ([bar("a", None, complete=True), bar("b", 0, complete=True)], 1),
        ([bar("a", 9, complete=True), bar("a", 4, complete=True, revision=1), bar("b", 5, complete=True)], 2),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_a_bar_is_shown_once_as_in_sqlite(tmp_path, made, best, backwards):
    """Whichever session is committed first."""
    sink, ordered = LakeSink(tmp_path), sorted(made, key=lambda m: m[0], reverse=backwards)
    sink.open()
    seqs = Counter()
    for session, event in ordered:
        sink.commit(session, seqs[session], [event])
        seqs[session] += 1
    sink.close()
    rows = tl.open(tmp_path).sql("select * from bars").to_pylist()
    session, event = made[best]
    assert [(r["session_id"], r["trades"], r["complete"], r["revision"]) for r in rows] == [
        (session, event.trades, event.complete, event.revision)
    ]
    assert tl.open(tmp_path).sql("select count(*) c from bar_revisions")["c"].to_pylist() == [len(made)]


def test_events_by_instrument_and_time(lake):
    table = lake.trades(BTC, start="2026-11-20T00:00:00", end=T0 + 3 * 10**9)
    wanted = [e for e in of(Trade, BTC) if T0 + 10**9 <= e.ts_event < T0 + 3 * 10**9]
    assert sorted(table["id"].to_pylist()) == sorted(e.id for e in wanted)
    for found in (table, lake.trades(), lake.status()):
        order = list(zip(*(found[name].to_pylist() for name in ("ts_event", "session_id", "n")), strict=True))
        assert order == sorted(order)
    assert lake.quotes([BTC, ETH]).num_rows == len(of(Quote))
    assert lake.status().num_rows == len(of(Status))
    assert lake.status(BTC).num_rows == 0


def test_what_is_there(lake):
    assert lake.instruments() == [BTC, ETH]
    times = [e.ts_event for e in of(Trade, BTC)]
    assert lake.span(BTC, "trade") == (min(times), max(times))
    assert lake.span("no:SUCH") is None
    assert {row["name"] for row in lake.sql("show tables").to_pylist()} >= {"trades", "bars", "bar_revisions", "status"}


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("selec 1", "LINE 1: selec 1"),
        ("select pric from trades", "LINE 1: select pric from trades\n               ^"),
        ("select * from nothing", "nothing"),
        ("select 1; select 2", "one query at a time"),
        (" ; ", "there is no query"),
        ("select $x", "x"),
        ("select has(flags, 'NO') from trades", "there is no flag NO"),
        ("select 'a'::int", "Conversion"),
    ],
)
def test_a_mistake_is_said_in_duckdbs_words(lake, sql, said):
    with pytest.raises(QueryError) as told:
        lake.sql(sql)
    assert said in str(told.value)
    assert told.value.exit_code == 2


@pytest.mark.parametrize("wrong", ["yesterday", "2026-13-01"])
def test_a_time_that_is_none(lake, wrong):
    with pytest.raises(UsageError, match="start"):
        lake.trades(BTC, start=wrong)
    with pytest.raises(UsageError, match="is no instrument"):
        lake.trades("BTC-USDT")


def test_rows_and_bytes_are_capped_and_it_says_so(lake):
    every = len(of(Trade))
    cut = lake.ask(Question("select * from trades order by n", limits=Limits(rows=10)))
    assert (cut.table["id"].to_pylist(), cut.truncated) == ([e.id for e in of(Trade)[:10]], True)
    assert not lake.ask(Question("select * from trades", limits=Limits(rows=every))).truncated
    heavy = lake.ask(Question("select range, repeat('x', 1000) from range(200000)", limits=Limits(bytes=1_000_000)))
    assert heavy.truncated
    assert 0 < heavy.table.nbytes <= 1_100_000


ENDLESS = "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = 7"


@pytest.mark.parametrize("sql", [ENDLESS, "select list_sum(range(100000000000))"])
def test_time_is_capped(lake, sql):
    with pytest.raises((QueryStopped, QueryError, QueryTooBig)):
        lake.ask(Question(sql, limits=Limits(seconds=0.2, memory_mb=300)))


def test_memory_is_capped(lake):
    with pytest.raises(QueryTooBig, match="its 60 MB"):
        lake.ask(Question("select array_agg(a.range) from range(30000000) a", limits=Limits(memory_mb=60, seconds=30)))


def test_there_is_no_lake(tmp_path):
    with pytest.raises(UsageError, match="there is no lake"):
        tl.open(tmp_path)


def test_a_file_that_is_gone_for_good_is_said(tmp_path):
    write(tmp_path, MADE[:40])
    lake = tl.open(tmp_path)
    for file in lake.catalogue().files:
        Path(lake.catalogue().path(file)).unlink()
    with pytest.raises(IntegrityError, match="tapeline repair"):
        lake.sql("select count(id) from trades")


def test_a_file_that_is_no_parquet_is_said(tmp_path):
    write(tmp_path, MADE[:40])
    lake = tl.open(tmp_path)
    for file in lake.catalogue().files:
        Path(lake.catalogue().path(file)).write_bytes(b"PAR1 but nothing else")
    with pytest.raises(IntegrityError, match="tapeline verify"):
        lake.sql("select count(id) from trades")

"""A lake that an earlier release began, whose files lack the columns that bars, metrics and alerts have got since."""

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path

import duckdb
import msgspec
import pyarrow.parquet as pq
import pytest

from tapeline.audit.audit import audit
from tapeline.cli.grid import grid
from tapeline.clock import ReplayClock
from tapeline.config import PipelineSettings, TapeSettings
from tapeline.engine.pipeline import BEFORE
from tapeline.events import Alert, Bar, Event, Metrics
from tapeline.frames import Frame, Session
from tapeline.lake import formats, rows
from tapeline.lake.lake import Lake
from tapeline.lake.rows import Selection
from tapeline.lake.tables import GROWN
from tapeline.sinks.lake import LakeSink
from tapeline.tape.writer import TapeWriter
from tests.audit.recorded import bring_in, market
from tests.lake.upkeep_helpers import Hands, upkeep
from tests.sinks.helpers import BTC, T0, in_order, one_of_each, row
from tests.sinks.subjects.lake_subject import read_lake

KINDS = {"bar": Bar, "metrics": Metrics, "alert": Alert}


def as_it_was(data: Path) -> None:
    """Take the columns out of the files that are there."""
    for path in (data / "lake").rglob("*.parquet"):
        kind = KINDS.get(path.relative_to(data / "lake").parts[0].removeprefix("kind="))
        if kind is not None:
            table = pq.ParquetFile(path).read()
            names = [name for name in table.column_names if name not in GROWN[kind]]
            pq.write_table(table.select(names), path, compression="zstd")


def without(event: Event) -> Event:
    return msgspec.structs.replace(event, **dict.fromkeys(GROWN.get(type(event), ())))


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, list[Event]]:
    """A session of then and one of now, in the same folders; and all events as they are to be read."""
    then, now = one_of_each(), [msgspec.structs.replace(e, ts_recv=e.ts_recv + 1) for e in one_of_each()]
    sink = LakeSink(tmp_path)
    sink.open()
    sink.commit("s1", 1, then)
    as_it_was(tmp_path)
    sink.commit("s2", 1, now)
    sink.close()
    return tmp_path, [*map(without, then), *now]


@pytest.mark.parametrize(("view", "kind"), [("bar_revisions", Bar), ("metrics", Metrics), ("alerts", Alert)])
def test_sql_and_exports_read_both(both, view, kind):
    data, events = both
    expected = in_order([row(e) for e in events if type(e) is kind])
    found = [e for batch in rows.batches(data, Selection(view)) for e in rows.events(kind, batch)]
    assert in_order([row(e) for e in found]) == expected
    assert Lake(data).sql(f"SELECT count(*) AS n FROM {view}").to_pylist() == [{"n": len(expected)}]


def test_a_lake_of_then_alone_is_read(tmp_path):
    sink = LakeSink(tmp_path)
    sink.open()
    sink.commit("s1", 1, one_of_each())
    sink.close()
    as_it_was(tmp_path)
    found = Lake(tmp_path).sql('SELECT count(*) AS n, count("values") AS v FROM metrics').to_pylist()
    assert found == [{"n": 5, "v": 0}]


def test_values_are_a_map_in_sql(both):
    found = Lake(both[0]).sql("SELECT values['vwap_5m'] AS v FROM metrics WHERE values['vwap_5m'] IS NOT NULL").to_pylist()
    assert found == [{"v": 1.5}]


def test_stored_bars_of_then_and_now(both):
    data, events = both
    bars = [e for e in events if isinstance(e, Bar) and e.origin == "trades" and e.interval == "1m"]
    table = Lake(data).bars(BTC, "1m", source="stored")
    assert table.to_pylist() == [{f: getattr(bars[-1], f) for f in Bar.__struct_fields__}]


def test_compaction_gives_the_old_rows_the_new_columns(both):
    data, events = both
    sink = LakeSink(data)
    sink.open()
    upkeep(sink, Hands(T0 + 3 * 86_400 * 10**9), []).run_once()
    sink.close()
    assert in_order(read_lake(data)) == in_order([row(e) for e in events])
    for path in (data / "lake").glob("kind=metrics/**/*.parquet"):
        found = duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE values['vwap_5m'] = 1.5").fetchall()
        assert found == [(1 if "BTC" in path.as_posix() else 0,)]


def test_what_was_recorded_then_is_not_told_to_differ(tmp_path):
    """The tape makes fields today that the files of then lack; everything else of them is still compared."""
    record_then(tmp_path, "20261121T100500Z-aaaa", market(1))
    bring_in(tmp_path)
    as_it_was(tmp_path)
    report = audit(tmp_path, lambda *_: None)
    assert [p.text for p in report.points if p.what == "lake" and p.state == "broken"] == []
    path = next((tmp_path / "lake").glob("kind=bar/**/*.parquet"))
    table = pq.ParquetFile(path).read()
    at = table.schema.get_field_index("buy_volume")
    pq.write_table(table.set_column(at, table.schema.field(at), table["volume"]), path)
    report = audit(tmp_path, lambda *_: None)
    assert [p.what for p in report.broken] == ["lake"]


def record_then(data: Path, session: str, frames: Iterable[Frame]) -> None:
    """Its head says nothing of what could not be switched on yet."""
    known = {k: v for k, v in msgspec.to_builtins(PipelineSettings()).items() if k not in BEFORE}
    tape = TapeWriter(data, Session(id=session, version="0", pipeline=known), TapeSettings(), ReplayClock(T0))
    for frame in frames:
        tape.append(frame)
    tape.close_sync()


def test_values_are_an_object_in_every_form(both: tuple[Path, list[Event]]) -> None:
    table = Lake(both[0]).sql("SELECT values FROM metrics WHERE values['vwap_5m'] IS NOT NULL OR n < 0")
    expected = {"vwap_5m": 1.5, "volume_1m": 0.0, "profile_1h.poc": -1e-7}
    written = {form: b"".join(formats.pieces(table, form)).decode() for form in ("csv", "json", "jsonl")}
    assert json.loads(written["json"]) == [{"values": expected}]
    assert json.loads(written["jsonl"]) == {"values": expected}
    (row,) = csv.DictReader(io.StringIO(written["csv"]))
    assert json.loads(row["values"]) == expected
    assert '{"vwap_5m":1.5,' in grid(table)

"""The upkeep of the lake is no finding: what retention took out is missed by nobody, and files may be swapped meanwhile."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

from tapeline.audit.audit import audit
from tapeline.config import KeepSettings
from tapeline.engine.replay import batches
from tapeline.lake.catalogue import read
from tapeline.lake.compaction import Compactor, Job
from tapeline.lake.layout import DAY
from tapeline.sinks.lake import LakeSink
from tapeline.sinks.recovery import repair
from tapeline.sinks.sqlite import FILE
from tests.audit.recorded import bring_in, market, record
from tests.engine.feeds import T0
from tests.lake.upkeep_helpers import Hands, upkeep


def rows(data: Path) -> int:
    with closing(sqlite3.connect(data / FILE)) as db:
        return int(db.execute("SELECT count(*) FROM trades").fetchone()[0])


def test_days_and_rows_that_were_not_to_be_kept(tmp_path):
    record(tmp_path, "20261121T100500Z-aaaa", market(1))
    bring_in(tmp_path)
    whole = rows(tmp_path)
    sink = LakeSink(tmp_path)
    sink.open()
    half = Hands(T0 + 30 * 10**9 + DAY)  # half a minute of trades is older than a day
    upkeep(None, half, [], keep=KeepSettings(sqlite_days=1), sqlite=tmp_path / FILE).run_once()
    upkeep(sink, Hands(T0 + 3 * DAY), [], keep=KeepSettings(lake_days=1)).run_once()
    sink.close()
    assert 0 < rows(tmp_path) < whole
    assert read(tmp_path).files == ()
    report = audit(tmp_path)
    assert not report.broken
    bring_in(tmp_path)
    assert 0 < rows(tmp_path) < whole
    assert read(tmp_path).files == ()
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("DELETE FROM trades WHERE rowid = (SELECT max(rowid) FROM trades)")
        db.commit()
    assert [p.what for p in audit(tmp_path).broken] == ["sqlite"]


def test_files_that_are_put_together_meanwhile_are_no_finding(tmp_path):
    record(tmp_path, "20261121T100500Z-aaaa", market(1))
    sink = LakeSink(tmp_path)
    sink.open()
    repair(tmp_path, [sink], ["20261121T100500Z-aaaa"], partial(batches, tmp_path))
    before = read(tmp_path).files

    def split_and_merge(*_: object) -> None:
        """Once the audit has its list: everything gets another name."""
        merge = Compactor(sink.store, lambda: None)
        for file in sink.store.state.files():
            merge.do(Job((file,), 1))

    steps = iter(range(100))
    report = audit(tmp_path, lambda *_: split_and_merge() if next(steps) == 0 else None)
    sink.close()
    assert not {f.path for f in before} & {f.path for f in read(tmp_path).files}
    assert not report.broken
    assert [p.state for p in report.points if p.what == "lake"] == ["holds"]

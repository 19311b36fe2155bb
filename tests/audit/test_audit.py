"""A directory that holds is said to hold, and each way of spoiling it is found: on a tape with losses, a lake and a SQLite file."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import msgspec
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tapeline.audit.audit import audit
from tapeline.audit.report import Report
from tapeline.audit.words import page
from tapeline.cli import main
from tapeline.clock import SECOND, ReplayClock
from tapeline.config import PipelineSettings, TapeSettings
from tapeline.engine.replay import batches
from tapeline.errors import UsageError
from tapeline.events import TYPES
from tapeline.frames import Session
from tapeline.lake import catalogue
from tapeline.tape.writer import TapeWriter
from tests.audit.recorded import NAME, bring_in, lake_file, market, record
from tests.engine.feeds import MS, T0, opened, recv, trade
from tests.sinks.helpers import in_order
from tests.sinks.subjects import subject


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("sound")
    record(data, "20261121T100500Z-aaaa", market(1))
    record(data, "20261121T110500Z-bbbb", market(2, lose=(50, 51, 300)))
    bring_in(data)
    return data


def broken(report: Report) -> set[str]:
    return {p.what for p in report.broken}


def test_a_hole_that_a_lost_frame_tells_of_is_noted_and_bars_begin_anew_behind_it(tmp_path):
    """A third of a minute is lost in the middle; what sinks hold is what the tape holds."""
    frames = list(market(1))
    lost = [f for f in frames if T0 + 20 * SECOND <= f.ts_recv < T0 + 40 * SECOND]
    head = Session(id="20261121T100500Z-aaaa", version="0", pipeline=msgspec.to_builtins(PipelineSettings()))
    tape = TapeWriter(tmp_path, head, TapeSettings(hold_mb=0), ReplayClock(T0))
    for frame in frames:
        if frame is lost[0]:
            with mock.patch.object(os, "write", side_effect=OSError(errno.ENOSPC, "No space left on device")):
                tape.flush()
                for one in lost:
                    tape.append(one)
        elif frame not in lost:
            tape.append(frame)
        if frame.ts_recv == T0 + 42 * SECOND:  # by now the disk has been tried again
            tape.append(opened(frame.ts_recv))
    tape.close_sync()
    bring_in(tmp_path)
    report = audit(tmp_path)
    assert not report.broken
    (hole,) = [p for p in report.points if p.what == "tape"]
    assert (hole.state, "No space left on device" in hole.text) == ("noted", True)
    (bars,) = [p for p in report.points if p.what == "bars"]
    assert bars.count > 17 + 15
    assert [p.state for p in report.points if p.what == "trade ids"] == ["noted"]


def test_a_sound_directory_holds_and_its_losses_are_noted(sound):
    report = audit(sound)
    assert not report.broken
    assert (report.sessions, report.instruments) == (2, [NAME])
    (lost,) = [p for p in report.points if p.what == "trade ids" and p.state == "noted"]
    assert (lost.session, lost.count) == ("20261121T110500Z-bbbb", 3)
    held = {(p.what, p.session[-4:]) for p in report.points if p.state == "holds"}
    assert {"tape", "update ids", "crossed books", "bars", "lake"} <= {what for what, _ in held}
    (bars,) = [p for p in report.points if p.what == "bars" and p.session.endswith("aaaa")]
    assert bars.count == 59 + 11 + 3  # of a minute all but the last second, 5 s and 15 s, which are still open
    (latency,) = report.latency
    assert (latency.skew, latency.negative) == (0.0, 0.0)


def remove_a_file(data: Path) -> None:
    lake_file(data, "trade").unlink()


def change_a_row(data: Path) -> None:
    path = lake_file(data, "trade")
    table = pq.read_table(path, partitioning=None)
    table = table.set_column(table.schema.get_field_index("price"), "price", pc.add(table["price"], 0.1))
    pq.write_table(table, path)


def double_a_file(data: Path) -> None:
    path = lake_file(data, "quote")
    shutil.copy(path, path.with_name("again.parquet"))


def cut_a_file(data: Path) -> None:
    path = lake_file(data, "book")
    path.write_bytes(path.read_bytes()[:-200])


def lose_rows_of_sqlite(data: Path) -> None:
    with sqlite3.connect(data / "tapeline.sqlite") as db:
        db.execute("DELETE FROM trades WHERE rowid % 50 = 0")
    db.close()


SPOILED: list[tuple[Callable[[Path], None], str, str]] = [
    (remove_a_file, "lake", "gone"),
    (change_a_row, "lake", "some of them differ"),
    (double_a_file, "lake", "does not know"),
    (cut_a_file, "lake", "damaged"),
    (lose_rows_of_sqlite, "sqlite", "SQLite has"),
]


@pytest.mark.parametrize(("spoil", "what", "words"), SPOILED, ids=[s[0].__name__ for s in SPOILED])
def test_what_is_spoiled_is_found_and_repaired(data, spoil, what, words, capsys):
    spoil(data)
    report = audit(data)
    assert broken(report) == {what}
    assert words in page(report)
    assert main(["verify", str(data)]) == 5
    assert "does NOT hold" in capsys.readouterr().out
    assert main(["repair", str(data)]) == 0
    assert not audit(data).broken
    assert not (data / "_rebuild").exists()


def test_damage_of_the_tape_is_found_and_no_repair_pretends_otherwise(data, capsys):
    path = min((data / "tape").glob("*/*.tape"))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    assert "tape" in broken(audit(data))
    assert main(["repair", str(data)]) == 5
    assert "do not hold" in capsys.readouterr().err


def test_a_bar_that_is_not_its_trades_is_found(sound):
    """The bars of the pipeline are right, so a wrong one is put among what the audit is given."""
    from tapeline.audit.bars import BarsAgain
    from tapeline.events import Bar, Trade

    for wrong in (False, True):
        again, report = BarsAgain(NAME, 600 * 10**9, inverse=False), Report(data="d")
        for batch in batches(sound, "20261121T100500Z-aaaa"):
            for e in batch.events:
                if isinstance(e, Trade):
                    again.trade(e)
                elif isinstance(e, Bar):
                    changed = wrong and e.interval == "5s" and e.ts_open % (15 * 10**9) == 0
                    again.bar(msgspec.structs.replace(e, volume=e.volume + 0.1) if changed else e)
        again.judge("s", report)
        assert {p.state for p in report.points} == ({"broken", "holds"} if wrong else {"holds"})
        if wrong:
            assert next(p for p in report.points if p.state == "broken").count == 4


@pytest.mark.parametrize("years", [5, -30])
@pytest.mark.parametrize("good", [0, 60])
def test_a_venue_whose_clock_is_years_off_is_no_broken_bar(tmp_path, years, good):
    """Its trades say so (BAD_TIME), and the bars are placed by our clock: from the beginning, or from the middle on."""
    times = [T0 + i * SECOND // 2 for i in range(good + 4000)]  # longer than a trade may be late
    off = [t if i < good else t + years * 365 * 86_400 * SECOND for i, t in enumerate(times)]
    messages = (recv(t, trade(i + 1, venue // MS)) for i, (t, venue) in enumerate(zip(times, off, strict=True)))
    record(tmp_path, "20261121T100500Z-aaaa", [opened(streams=["btcusdt@trade"]), *messages])
    assert broken(audit(tmp_path)) == set()


def test_where_there_is_nothing_it_says_so(tmp_path):
    with pytest.raises(UsageError, match="neither tape nor lake"):
        audit(tmp_path)


def test_json_gives_every_point(sound, capsys):
    assert main(["verify", str(sound), "--json"]) == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert {p["what"] for p in told["points"]} >= {"tape", "trade ids", "update ids", "bars", "lake", "sqlite"}


def test_a_damaged_tape_takes_nothing_from_lake_and_sqlite(data, capfd):
    """What they hold of it is all there is: repair must not make them anew from what is left of the tape."""
    (segment,) = (data / "tape" / "20261121T110500Z-bbbb").glob("*.tape")
    spoiled = bytearray(segment.read_bytes())
    spoiled[len(spoiled) // 2 : len(spoiled) // 2 + 200] = bytes(200)
    segment.write_bytes(spoiled)
    before = {name: in_order(subject(name).read(data)) for name in ("lake", "sqlite")}
    assert broken(audit(data)) == {"tape"}
    assert main(["repair", str(data)]) == 5
    assert {name: in_order(subject(name).read(data)) for name in before} == before
    assert main(["repair", str(data), "--anew", "lake"]) == 5
    assert in_order(subject("lake").read(data)) == before["lake"]
    capfd.readouterr()


def test_a_lake_whose_state_is_garbage_is_made_anew(data, capfd):
    before = in_order(subject("lake").read(data))
    for place in (data / "lake").glob("_state.sqlite*"):
        place.unlink()
    (data / "lake" / "_state.sqlite").write_bytes(bytes(range(256)) * 20)
    assert broken(audit(data)) == {"lake"}
    assert main(["repair", str(data)]) == 0
    assert in_order(subject("lake").read(data)) == before
    capfd.readouterr()


def test_of_a_file_that_holds_two_sessions_only_the_one_that_the_tape_lacks_is_carried_over(data):
    assert main(["lake", "compact", str(data)]) == 0
    before = catalogue.read(data)
    assert all(f.compacted for f in before.files if f.kind == "trade")
    shutil.rmtree(data / "tape" / "20261121T100500Z-aaaa")
    assert main(["repair", str(data), "--anew", "lake"]) == 0
    after = catalogue.read(data)
    assert after.sessions == before.sessions
    had, has = ({kind: sum(f.rows for f in kept.files if f.kind == kind) for kind in TYPES} for kept in (before, after))
    assert has == had
    assert not audit(data).broken

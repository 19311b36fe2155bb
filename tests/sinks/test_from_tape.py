"""The sinks with the real tape and the real pipeline: what is replayed is what is kept, frame by frame."""

from pathlib import Path

import msgspec
import pytest

from tapeline.clock import ReplayClock
from tapeline.config import PipelineSettings, Settings, TapeSettings
from tapeline.engine.replay import batches
from tapeline.frames import Frame, FrameKind, Opened, Session, pack
from tapeline.sinks.recovery import repair
from tapeline.sinks.registry import make
from tapeline.tape.writer import TapeWriter
from tests.sinks.helpers import T0, in_order
from tests.sinks.subjects import subject

TRADES = 700  # more than two blocks
MILLI = 1_000_000


def trade(i: int) -> bytes:
    t = T0 // MILLI + i * 37
    data = {"e": "trade", "E": t, "s": "BTCUSDT", "t": i + 1, "p": f"{61800 + i % 7}.5", "q": "0.25", "T": t, "m": i % 2 == 0}
    return msgspec.json.encode({"stream": "btcusdt@trade", "data": data})


@pytest.fixture
def session(tmp_path: Path) -> str:
    head = Session(id="20261119T235959Z-test", version="0", pipeline=msgspec.to_builtins(PipelineSettings()))
    tape = TapeWriter(tmp_path, head, TapeSettings(), ReplayClock(T0))
    streams = ["btcusdt@trade"]
    tape.append(Frame(T0, FrameKind.OPENED, 1, pack(Opened(venue="binance", url="ws://x", streams=streams, simulated=True))))
    for i in range(TRADES):
        tape.append(Frame(T0 + i * 37 * MILLI, FrameKind.RECV, 1, trade(i)))
    tape.close_sync()
    return head.id


def test_single_frames_and_blocks_give_the_same_events(session, tmp_path):
    blocks, single = list(batches(tmp_path, session)), list(batches(tmp_path, session, single=True))
    assert [e for b in single for e in b.events] == [e for b in blocks for e in b.events]
    assert [(b.first_seq, b.seq) for b in single] == [(n, n) for n in range(TRADES + 2)]
    for after in (0, 255, 256, 300, TRADES + 1):
        assert list(batches(tmp_path, session, after, single=True)) == single[after + 1 :]


@pytest.mark.parametrize("stands", [-1, 0, 255, 300, TRADES])
def test_repair_brings_in_just_what_is_missing(session, tmp_path, stands):
    single = list(batches(tmp_path, session, single=True))
    sinks = make(tmp_path, Settings())
    for sink in sinks:
        sink.open()
        if stands >= 0:
            sink.commit(session, stands, [e for b in single[: stands + 1] for e in b.events])
    for report in repair(tmp_path, sinks, {session: TRADES + 1}, lambda s, after: batches(tmp_path, s, after)):
        assert (report.first_seq, report.last_seq, report.error) == (stands + 1, TRADES + 1, "")
    events = [e for b in single for e in b.events]
    assert sum(type(e).__name__ == "Trade" for e in events) == TRADES
    for sink in sinks:
        sink.close()
        assert in_order(subject(sink.name).read(tmp_path)) == in_order(subject(sink.name).kept([events]))

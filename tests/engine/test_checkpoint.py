"""A pipeline that was put away and taken out again makes what the one makes that went on: byte for byte, wherever it is cut.

What must not be believed (damage, another program's state, a forged one) is passed over, and the replay begins earlier.
"""

import enum
import gzip
import io
import json
import pickle
import random
import zipfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.clock import ReplayClock
from tapeline.config import TapeSettings, VenueSettings
from tapeline.engine import checkpoint
from tapeline.engine.lines import frames as frames_of
from tapeline.engine.pipeline import Pipeline
from tapeline.engine.replay import batches, replay
from tapeline.errors import TapeError
from tapeline.events import Event, to_json
from tapeline.frames import Frame, Session
from tapeline.tape import states
from tapeline.tape.writer import TapeWriter
from tapeline.venues.registry import venue_class
from tests.engine.feeds import MS, T0, Market, answer, opened, recv, same, spot_diff
from tests.engine.test_redundant import feed, weave
from tests.engine.test_rule_one import story

RECORDED = {
    "binance": "binance-spot/btcusdt_20240808.gz",
    "binance-usdm": "binance-usdm/btcusdt_20240808.gz",
    "bybit": "bybit/xrpusdt-ob500.data.zip",
    "coinbase": "coinbase-exchange/products10_20210417.jsonl.gz",
    "kraken": "kraken/v2_pairs10_20210417.jsonl.gz",
    "okx": "okx/v5_20220513.jsonl.gz",
}
MOST_FRAMES = 12_000


def lines_of(path: Path) -> Iterator[bytes]:
    """What was received, one a line, with its time where the file has it."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            yield from archive.read(archive.namelist()[0]).splitlines()
        return
    for line in gzip.decompress(path.read_bytes()).splitlines():
        if ".jsonl" not in path.name:
            yield line
        elif (entry := json.loads(line))["t"] == "recv":
            yield b"%d %s" % (round(entry["ts"] * 1e6) * 1000, entry["data"].encode())


def played(frames: Sequence[Frame], pipeline: Pipeline | None = None) -> list[Event]:
    out: list[Event] = []
    pipeline = pipeline or Pipeline()
    pipeline.feed_many(0, frames, out)
    assert pipeline.faults == 0
    return out


def put_away(pipeline: Pipeline) -> Pipeline:
    pipeline.requests.clear()
    pipeline.notices.clear()
    return checkpoint.load(checkpoint.dump(pipeline))


def cut_at(frames: Sequence[Frame], cuts: Sequence[int]) -> list[Event]:
    """Played with a new pipeline, made from what the one before left, after each cut."""
    pipeline, out = Pipeline(), []
    for first, last in zip([0, *cuts], [*cuts, len(frames)], strict=True):
        pipeline.feed_many(first, frames[first:last], out)
        pipeline = put_away(pipeline)
    assert pipeline.faults == 0
    return out


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.data())
def test_cut_anywhere_in_a_session_in_which_everything_happens(seed: int, data: st.DataObject) -> None:
    frames = story(seed)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(frames)), max_size=6)))
    same(cut_at(frames, cuts), played(frames))


@settings(max_examples=20)
@given(st.integers(0, 10**4), st.integers(5, 200), st.sampled_from((1, 2)), st.data())
def test_cut_anywhere_on_redundant_connections(seed: int, dies_at: int, who: int, data: st.DataObject) -> None:
    """Each keeps a book of its own, and one of them dies."""
    market = Market(seed)
    snapshot = answer(T0 + 2 * MS, market.snapshot(), purpose="book", native="BTCUSDT")
    messages = feed(market, 150)
    begin = [opened(conn=1), opened(conn=2), recv(T0 + MS, messages[0], 1), recv(T0 + MS, messages[0], 2), snapshot]
    frames = begin + weave(messages, random.Random(seed), 6, dies_at, who, {(1, 40), (2, 60)})
    cuts = sorted(data.draw(st.lists(st.integers(0, len(frames)), max_size=6)))
    same(cut_at(frames, cuts), played(frames))


def test_members_of_enums_do_not_depend_on_the_python_that_put_them_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 3.11.4, which Debian 12 has, a member came back through `getattr`, and no state may name that."""
    frames = story(7)
    whole, half = played(frames), len(frames) // 2
    monkeypatch.setattr(enum.Enum, "__reduce_ex__", lambda self, _: (getattr, (type(self), self._name_)))
    same(cut_at(frames, [half]), whole)
    table = checkpoint._Pickler.dispatch_table
    monkeypatch.setattr(checkpoint._Pickler, "dispatch_table", {k: v for k, v in table.items() if k not in checkpoint.ENUMS})
    with pytest.raises(TapeError, match="getattr"):
        cut_at(frames, [half])


@pytest.mark.parametrize("venue", RECORDED)
def test_cut_in_recordings_of_real_venues(shared_frames: Path, venue: str) -> None:
    path = shared_frames / "recorded" / RECORDED[venue]
    frames = list(islice(frames_of(venue_class(venue)(), lines_of(path), path.name), MOST_FRAMES))
    dice, events = random.Random(venue), played(frames)
    assert len(events) > len(frames)
    same(cut_at(frames, sorted(dice.randrange(len(frames)) for _ in range(5))), events)


def test_addresses_are_not_in_it() -> None:
    venues = {"binance": VenueSettings(ws_url="wss://user:geheim@proxy.example")}
    pipeline = Pipeline(None, venues)
    pipeline.feed_many(0, [opened(), recv(T0, spot_diff(1, 2))], [])
    assert b"geheim" not in checkpoint.dump(pipeline)


# What is not believed


class Evil:
    def __init__(self, *how: Any) -> None:
        self.how = how

    def __reduce__(self) -> Any:
        return self.how


def _forged(path: Path) -> Iterator[bytes]:
    yield pickle.dumps(Evil(exec, (f"open({str(path)!r}, 'w')",)))
    yield pickle.dumps(Evil(Path.touch, (path,)))
    yield pickle.dumps(Evil(getattr, (Pipeline, "feed")))
    yield pickle.dumps(TapeWriter)
    for name in (b"tapeline.engine.pipeline\nlog", b"tapeline.engine.pipeline\nmsgspec", b"tapeline.clock\nLiveClock"):
        yield b"\x80\x02c" + name + b"\n."
    sound = checkpoint.dump(Pipeline())
    yield sound[:-20]
    yield sound.replace(b"_bound", b"_stamp")
    yield pickle.dumps({"no": "pipeline"})
    yield b""
    yield _dotted("tapeline.engine.pipeline", "Pipeline.of_session.__globals__")
    yield _called("tapeline.engine.checkpoint", "_bound", (Path, "touch"))


def _dotted(module: str, name: str) -> bytes:
    return b"\x80\x04" + b"".join(b"\x8c" + bytes([len(s)]) + s.encode() for s in (module, name)) + b"\x93."


def _called(module: str, name: str, given: tuple[Any, ...]) -> bytes:
    inner = pickle.dumps(given, 4)[2:-1]
    return _dotted(module, name)[:-1] + inner + b"R."


def test_forged_states_run_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for raw in _forged(mark):
        with pytest.raises(TapeError):
            checkpoint.load(raw)
    assert not mark.exists()


def test_methods_come_back_as_methods_of_our_own_only() -> None:
    for owner, name in ((io.BytesIO(), "write"), (Pipeline, "of_session"), (Pipeline(), "__init__"), (Pipeline(), "settings")):
        with pytest.raises(pickle.UnpicklingError):
            checkpoint._bound(owner, name)


class _Altered(Pipeline):
    def stats(self) -> dict[str, int]:
        return {}

    @property
    def of_base(self) -> Any:
        return super().stats


def test_a_method_that_would_come_back_as_another_is_refused() -> None:
    pipeline = _Altered()
    pipeline.requests.append(pipeline.of_base)
    with pytest.raises(pickle.PicklingError, match="would come back as another"):
        checkpoint.dump(pipeline)


def test_no_settings_but_the_pipelines_are_within_reach() -> None:
    for name in ("Settings", "FilesSettings", "PostgresSettings"):
        with pytest.raises(TapeError, match="does not belong"):
            checkpoint.load(_dotted("tapeline.config", name))


# Beside the tape

SESSION = "20261121T100500Z-1a2b"


def record(root: Path, frames: Sequence[Frame], stops: Sequence[int] = ()) -> list[Path]:
    """A tape of these frames, with a state ahead of each seq of `stops`."""
    tape = TapeWriter(root, Session(id=SESSION, version="1"), TapeSettings(), ReplayClock(T0))
    whole = [tape.head, *frames]
    tape.append_many(frames)
    tape.close_sync()
    pipeline, at, made = Pipeline.of_session(tape.head), 0, []
    for stop in stops:
        pipeline.feed_many(at, whole[at:stop], [])
        pipeline.requests.clear()
        pipeline.notices.clear()
        at = stop
        ts = whole[stop - 1].ts_recv
        made.append(states.write(root / "tape" / SESSION, stop, ts, checkpoint.stamp(), checkpoint.dump(pipeline)))
    return made


def given_out(root: Path, after: int = -1) -> list[tuple[int, int, list[bytes]]]:
    return [(b.first_seq, b.seq, [to_json(e) for e in b.events]) for b in batches(root, SESSION, after, single=True)]


def test_a_sink_catches_up_from_the_state_ahead_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = story(3)
    record(tmp_path, frames, [40, 100, 170])
    whole = given_out(tmp_path)
    begun: list[int] = []
    latest = checkpoint.latest

    def watched(*of: Any, **more: Any) -> Any:
        found = latest(*of, **more)
        begun.append(0 if found is None else found[1])
        return found

    monkeypatch.setattr(checkpoint, "latest", watched)
    for after in (-1, 0, 38, 39, 40, 120, 169, 170, len(frames)):
        assert given_out(tmp_path, after) == [batch for batch in whole if batch[0] > after]
    assert begun == [0, 0, 0, 40, 40, 100, 170, 170, 170]


@pytest.mark.parametrize("harm", ["damaged", "cut off", "empty", "foreign", "forged", "headless", "longer", "gone"])
def test_a_state_that_cannot_be_used_is_passed_over(tmp_path: Path, harm: str) -> None:
    record(tmp_path, story(4), [50, 120])
    whole = given_out(tmp_path)
    path = tmp_path / "tape" / SESSION / "000000000120.state"
    raw = path.read_bytes()
    match harm:
        case "damaged":
            path.write_bytes(raw[:200] + bytes([raw[200] ^ 1]) + raw[201:])
        case "cut off":
            path.write_bytes(raw[:-1])
        case "empty":
            path.write_bytes(b"")
        case "headless":
            path.write_bytes(b"\0" + raw[1:])
        case "longer":
            path.write_bytes(raw + b"\0")
        case "foreign":  # of another program: a sound state, of an empty pipeline, that would be wrong here
            states.write(path.parent, 120, T0, bytes(32), checkpoint.dump(Pipeline()))
        case "forged":
            states.write(path.parent, 120, T0, checkpoint.stamp(), pickle.dumps(Evil(exec, ("1/0",))))
        case "gone":
            path.unlink()
    assert given_out(tmp_path, 150) == [batch for batch in whole if batch[0] > 150]


def test_seeking_gives_the_same_events_as_playing_from_the_beginning(tmp_path: Path) -> None:
    frames = story(7)
    record(tmp_path / "with", frames, [60, 61, 130, 200])
    record(tmp_path / "without", frames)
    for at in (0, 59, 60, 61, 129, 130, 131, 240):
        start = frames[at].ts_recv
        told: list[list[str]] = [[], []]
        one, other = (
            list(replay(tmp_path / name, instruments=["binance:BTC-USDT"], start=start, absent=told[i].append))
            for i, name in enumerate(("with", "without"))
        )
        same(one, other)
        assert told[0] == told[1]


def test_few_states_are_kept(tmp_path: Path) -> None:
    record(tmp_path, story(1), [10, 20, 30, 40, 50])
    directory = tmp_path / "tape" / SESSION
    states.write(directory, 25, T0, bytes(32), b"of another program")
    states.tidy(directory, checkpoint.stamp())
    assert [s.seq for s in states.states(directory)] == [10, 25, 40, 50]

"""The doors to windows: what docs/windows.md shows runs; live streams close by the clock, end in order, and equal their replay."""

import ast
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import tapeline as tl
from tapeline import windowing
from tapeline.cli import main
from tapeline.clock import MILLI, SECOND, LiveClock
from tapeline.config import Settings, VenueSettings
from tapeline.errors import UsageError
from tapeline.sim import SimServer
from tests.market.windows_model import T0, X, Y, trade

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "windows.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
RUNNER = """
import ast, asyncio, sys
code = compile(sys.stdin.read(), "docs/windows.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
asyncio.run(eval(code))
"""


def settings_at(sim: SimServer, venue: str) -> Settings:
    return Settings(venues={venue: VenueSettings(ws_url=sim.ws_url(venue), http_url=sim.http_url(venue))})


async def test_the_five_lines_of_the_docs_run_against_simulated_yahoo():
    """Verbatim, in a process of their own, while the market's minutes pass as fast as the sockets take them."""
    lines = BLOCKS[0].strip().splitlines()
    assert len(lines) <= 5
    async with SimServer(seed=5, rate=5.0, live=False, venues=("yahoo",)) as sim:
        env = os.environ | {
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONUNBUFFERED": "1",
            "TAPELINE_VENUES_YAHOO_WS_URL": sim.ws_url("yahoo"),
            "TAPELINE_VENUES_YAHOO_HTTP_URL": sim.http_url("yahoo"),
        }
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", RUNNER, env=env, stdin=pipe, stdout=pipe)
        try:
            child.stdin.write(BLOCKS[0].encode())
            child.stdin.close()
            rows = await asyncio.wait_for(_rows(sim, child), 100)
        finally:
            child.kill()
            await child.wait()
    assert {row[0] for row in rows} >= {"sim-yahoo:AMZN", "sim-yahoo:MSFT"}
    for _, start, first, last, low, high, volume in rows:
        assert int(start) % (60 * SECOND) == 0
        assert float(low) <= min(float(first), float(last)) <= max(float(first), float(last)) <= float(high)
        assert float(volume) >= 0


async def _rows(sim: SimServer, child: Any) -> list[list[str]]:
    """What it printed, once each of the two has two windows."""
    rows: list[list[str]] = []
    reading = asyncio.ensure_future(child.stdout.readline())
    while sum("AMZN" in r[0] for r in rows) < 2 or sum("MSFT" in r[0] for r in rows) < 2:
        await sim.play(10)
        done, _ = await asyncio.wait({reading}, timeout=0.02)
        if done:
            assert reading.result(), "it ended"
            rows.append(reading.result().decode().split())
            reading = asyncio.ensure_future(child.stdout.readline())
    reading.cancel()
    return rows


@pytest.mark.parametrize("block", BLOCKS[1:])
def test_the_other_python_of_the_docs_runs(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _import(tmp_path)
    code = compile(ast.parse("import tapeline as tl\n" + _shape() + block), "docs/windows.md", "exec")
    exec(code, {})
    capsys.readouterr()


def test_the_example_runs(tmp_path):
    _import(tmp_path)
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(ROOT / "examples" / "windows.py"), str(tmp_path / "data")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    (row,) = map(ast.literal_eval, done.stdout.splitlines())
    assert row["count"] == 3
    assert row["return_bps"] == pytest.approx(1e4 * 0.019802627)


def _shape() -> str:
    return next(b for b in BLOCKS if "def shape" in b).partition("\n\n")[0] + "\n"


def _import(folder: Path) -> None:
    """A small recording of `binance:BTC-USDT` under `data`."""
    lines = [
        f'{T0 + i * SECOND} {{"e":"trade","E":{t},"s":"BTCUSDT","t":{i + 1},"p":"{100 + i}","q":"1","T":{t},"m":false}}'
        for i, t in enumerate(range(T0 // MILLI, T0 // MILLI + 3000, 1000))
    ]
    (folder / "raw.txt").write_text("\n".join(lines) + "\n")
    assert main(["import", "binance", str(folder / "raw.txt"), "--data", str(folder / "data")]) == 0


async def test_a_live_stream_equals_its_replay_and_closing_ends_it(tmp_path):
    async with SimServer(seed=3, rate=20.0, venues=("binance",)) as sim:
        stream = tl.stream("binance:BTC-USDT", channels=["trades"], data=tmp_path, settings=settings_at(sim, "binance"))
        made = tl.windows(stream, tl.tumbling("200ms"), "vwap", "count", first="first(price)")
        live = []
        async with aclosing(made):
            async for w in made:
                live.append(w)
                if len(live) == 6:
                    break
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    played = list(tl.windows(tl.replay(tmp_path), tl.tumbling("200ms"), "vwap", "count", first="first(price)"))
    assert played[: len(live)] == live
    assert {w.instrument for w in live} == {"sim:BTC-USDT"}
    assert all(w.flags & tl.Flag.SIMULATED for w in live)


class Feed:
    """An async source that says a few trades and then nothing until it is told to end."""

    def __init__(self, *trades: tl.Trade) -> None:
        self.trades, self.more, self.closed = list(trades), asyncio.Event(), False

    def __aiter__(self) -> AsyncIterator[tl.Event]:
        return self._say()

    async def _say(self):
        try:
            for t in self.trades:
                yield t
            await self.more.wait()
            yield self.trades[-1]
            raise ConnectionError("the line is dead")
        finally:
            self.closed = True


async def test_the_clock_closes_what_is_silent_without_losing_the_next_event():
    now = LiveClock().now()
    start = now - now % (100 * MILLI) + SECOND  # nothing is silent before both have come
    feed = Feed(trade(start, recv=start), trade(start + MILLI, recv=start + MILLI, name=Y))
    made = tl.windows(feed, tl.tumbling("100ms"), "count", grace="20ms", clock=LiveClock())
    one, two = await anext(made), await anext(made)
    assert [(w.instrument, w.start, w.complete, w.ts_recv) for w in (one, two)] == [
        (X, start, False, start + 120 * MILLI),
        (Y, start, False, start + 120 * MILLI),
    ]
    feed.more.set()
    with pytest.raises(ConnectionError, match="dead"):
        await anext(made)
    assert [late.event.instrument for late in made.late] == [Y]
    assert feed.closed


async def test_leaving_the_loop_closes_the_source_also_while_it_is_waited_for():
    soon = LiveClock().now() + SECOND
    feed = Feed(trade(soon, recv=soon))
    made = tl.windows(feed, tl.tumbling("10ms"), "count", grace=0, clock=LiveClock())
    await anext(made)
    assert not feed.closed
    await made.aclose()
    assert feed.closed


async def test_without_a_clock_only_events_move_time():
    feed = Feed(trade(T0), trade(T0 + 400 * SECOND))
    found = [w async for w in _until(tl.windows(feed, tl.tumbling("1m"), "count"), 1)]
    assert [w.start for w in found] == [T0 - T0 % (60 * SECOND)]


async def _until(made: Any, count: int):
    async with aclosing(made):
        for _ in range(count):
            yield await anext(made)


async def test_an_event_that_is_there_costs_no_task_and_one_that_is_not_can_be_cancelled():
    async def numbers():
        for n in range(3):
            yield n
        await asyncio.sleep(3600)
        yield 3

    waiting, source = windowing.Waiting(quick=True), numbers()
    assert not waiting.begin(source)
    assert await waiting.until(None)
    tasks = len(asyncio.all_tasks())
    assert [waiting.take(), waiting.begin(source), waiting.take(), waiting.begin(source), waiting.take()] == [
        0,
        True,
        1,
        True,
        2,
    ]
    assert len(asyncio.all_tasks()) == tasks
    assert not waiting.begin(source)
    assert not await waiting.until(0.01)
    await waiting.end()
    with pytest.raises(StopAsyncIteration):
        await anext(source)


def test_late_records_gather_in_a_bounded_place_or_go_where_they_are_told():
    events = [trade(T0 + 10 * SECOND), *[trade(T0 + i * MILLI, recv=T0 + 11 * SECOND) for i in range(5)]]
    made = tl.windows(events, tl.tumbling("1s"), "count", limits=tl.Limits(late=2))
    assert len(list(made)) == 1
    assert [late.event.ts_event - T0 for late in made.late] == [3 * MILLI, 4 * MILLI]
    assert made.counts == {
        "records": 6, "late": 5, "revised": 0, "keys_dropped": 0, "windows_dropped": 0, "rows_dropped": 0, "late_dropped": 3, "keys": 1,
    }  # fmt: skip
    told: list[tl.Late] = []
    list(tl.windows(events, tl.tumbling("1s"), "count", late=told.append))
    assert [(late.windows, late.why, late.instrument) for late in told] == [(((T0, T0 + SECOND),), "lateness", X)] * 5


def test_a_table_has_the_last_word_on_each_window():
    events = [trade(T0), trade(T0 + 2 * SECOND), trade(T0 + MILLI, 3.0, recv=T0 + 2 * SECOND)]
    made = list(tl.windows(events, tl.tumbling("1s"), "volume", top="max(price)", lateness="5s"))
    found = tl.table(made)
    assert found.column_names[-2:] == ["volume", "top"]
    assert found.select(["key", "revision", "volume", "top"]).to_pylist() == [
        {"key": X, "revision": 1, "volume": 2.0, "top": 3.0},
        {"key": X, "revision": 0, "volume": 1.0, "top": 1.0},
    ]
    assert tl.table(made, latest=False).num_rows == 3
    assert found.schema.field("start").type == pa.int64()
    assert tl.table([]).num_rows == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda n: "text" if n else 1.5, "the values of 'f' are no column"),
        (lambda _: 1j, "the values of 'f' are no column"),
        (lambda _: 10**30, "the values of 'f' are no column"),
        (lambda _: {1: 2.0}, "a function gives 1 for the name of a column"),
    ],
)
def test_what_a_function_gives_and_no_table_can_hold_is_named(given, words):
    calls = iter(range(10))
    events = [trade(T0), trade(T0 + 2 * SECOND)]
    with pytest.raises(UsageError, match=words):
        tl.table(tl.windows(events, tl.tumbling("1s"), f=lambda *_: given(next(calls))))


def test_a_state_goes_on_in_other_windows():
    events = [trade(T0 + i * 100 * MILLI, float(i)) for i in range(40)]
    whole = list(tl.windows(events, tl.tumbling("1s"), "vwap"))
    first = tl.windows([], tl.tumbling("1s"), "vwap")
    first._door.operator.add_many(events[:15], out := [])
    rest = tl.windows(events[15:], tl.tumbling("1s"), "vwap").restore(first.state())
    assert [*out, *rest] == whole


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"x": "frist(price)"}, "did you mean first"),
        ({"x": "first(prize)"}, "did you mean price"),
        ({"x": "first"}, r"write its field, as in first\(price\)"),
        ({"x": "sum(side)"}, r"distinct\(side\)"),
        ({"x": "first(price"}, "no aggregate"),
        ({"x": "quantile(price, 95)"}, "between 0 and 1"),
        ({"x": "vwap", "of": "quotes"}, "of trades, not of quote"),
        ({"x": "count", "of": "candles"}, "no kind of event"),
        ({"start": "count"}, "cannot be the name"),
        ({"x": "count", "lateness": "soon"}, "no length of time"),
        ({"x": lambda *_: 1, "columns": ["cost"]}, "have no 'cost'"),
    ],
)
def test_a_mistake_is_answered_with_what_there_is(asked, says):
    with pytest.raises(UsageError, match=says):
        tl.windows([], tl.tumbling("1m"), **asked)


def test_kinds_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="longer than the window"):
        tl.sliding("1m", "2m")
    with pytest.raises(UsageError, match="no length of time"):
        tl.session("0s")
    with pytest.raises(UsageError, match=r"give tl\.tumbling"):
        tl.windows([], "1m", "count")
    with pytest.raises(UsageError, match="room for 10,000"):
        tl.windows([], tl.sliding("1d", "1s"), "count")

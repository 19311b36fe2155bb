"""What the watch finds beside a live session is what a backtest finds on its tape, to the nanosecond; and alerts are on the tape."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tapeline.alerts.backtest import backtest
from tapeline.alerts.room import Wanted
from tapeline.alerts.rule import Rule
from tapeline.alerts.watch import beside
from tapeline.cli import main
from tapeline.clock import SECOND, LiveClock
from tapeline.config import AlertsSettings, RuleSettings
from tapeline.engine import checkpoint
from tapeline.engine.collector import Collector
from tapeline.errors import UsageError
from tapeline.events import Alert, Metrics, to_json
from tapeline.frames import Frame, FrameKind
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.tape import reader
from tapeline.tape.retention import prune
from tests.live.rig import SIM_BTC, SIM_ETH, SIM_PERP, running
from tests.live.test_retention import OLD, segment

RULES = {
    "wide": RuleSettings(rule="spread_bps > 0.001 for 300ms"),
    "moves": RuleSettings(rule="price changes by 0.1bps within 1s", cooldown="500ms"),
    "crosses": RuleSettings(rule="binance:BTC-USDT mid crosses avg(mid, 1s)"),
    "integrity": RuleSettings(rule="status is gap or stale or crossed"),
    "busy": RuleSettings(rule="volume_2s > 0.01 and sum(size, 1s) > 0"),
    "basis": RuleSettings(rule="abs(binance:BTC-USDT.mid - binance-usdm:BTC-USDT-PERP.mid) > 1", once=True),
    "bars": RuleSettings(rule="close_1s > 1 for 2s", incomplete=True),
}
QUIET = 0.5
QUICK = ("--set", "alerts.quiet_start_seconds=0")


class Beside:
    """What `alerts.room` does of it: what was found goes onto the tape as frames."""

    def __init__(self, collector: Collector) -> None:
        self.found: list[Alert] = []
        self.collector = collector
        self.watch = beside(collector, AlertsSettings(quiet_start_seconds=QUIET), self.take)
        rules = [Wanted(name, rule, "settings") for name, rule in RULES.items()]
        for rule in rules:
            self.watch.check(rule)
        self.watch.replace(rules, {})

    def take(self, alerts: Sequence[Alert], states: Mapping[str, bytes]) -> None:
        del states
        self.found += alerts
        now = self.collector.clock.now()
        self.collector.door([Frame(now, FrameKind.ALERT, 0, to_json(alert)) for alert in alerts])


async def test_live_equals_backtest_and_replay_through_faults(tmp_path):
    async with SimServer(seed=7, rate=3.0) as sim:
        async with running(sim, tmp_path, connect=False) as run:
            side = Beside(run.collector)
            await run.collector.connect(run.collector.settings.instruments, run.collector.settings.channels)
            await run.synced()
            for fault in (f.Drop(stream="btcusdt@depth*", times=2, every=4), f.Drop(stream="btcusdt@trade", times=3, after=5)):
                armed = sim.fault(fault)
                await run.until(lambda armed=armed: armed.hits)
                await run.synced()
            sim.fault(f.Close(code=1006))
            await run.until(lambda: run.statuses("disconnected"))
            await run.synced()
            sim.fault(f.Silence(seconds=5.0))
            await run.until(lambda: run.statuses("stale"))
            await run.until(lambda: {a.rule for a in side.found} == set(RULES), 30)
        session = run.collector.session
        assert side.watch.faults == 0
    assert run.replayed() == run.published()
    found = backtest([Rule.of_settings(n, r) for n, r in RULES.items()], tmp_path, quiet_seconds=QUIET, session=session)
    assert [to_json(a) for a in found.alerts[: len(side.found)]] == [to_json(a) for a in side.found]
    assert all(a.ts_event >= side.found[-1].ts_event for a in found.alerts[len(side.found) :])
    published = {(a.id, a.state) for a in run.events if type(a) is Alert}
    assert published == {(a.id, a.state) for a in side.found}
    assert any(e.values and "volume_2s" in e.values for e in run.events if type(e) is Metrics)  # the rule switched it on


async def test_a_backtest_needs_no_rule_to_have_been_there(tmp_path, capsys):
    """The session sampled nothing; parts of the time are asked for; a time that is not on the tape is said."""
    async with SimServer(seed=2, rate=2.0) as sim, running(sim, tmp_path, connect=False) as run:
        await run.collector.connect(("binance:BTC-USDT",), ("trades", "book"))
        await run.synced(SIM_BTC)
        await asyncio.sleep(2.5)
    rule = Rule.of(name="r", text="volume_1s >= 0")
    found = backtest(rule, tmp_path, quiet_seconds=0)
    first = found.alerts[0]
    assert (first.state, first.instrument, found.notes) == ("raised", SIM_BTC, [])
    assert found.alerts == backtest(rule, tmp_path, quiet_seconds=0).alerts
    assert backtest(rule, tmp_path, first.ts_event, first.ts_event + 1, quiet_seconds=0).alerts == [first]
    later = backtest(rule, tmp_path, first.ts_event + 1, first.ts_event + 10_000 * SECOND, quiet_seconds=0)
    assert first not in later.alerts
    assert any("the tape ends at" in note for note in later.notes)
    nothing = backtest(rule, tmp_path, SECOND, 2 * SECOND)
    assert (nothing.alerts, "nothing of that time" in nothing.notes[0]) == ([], True)
    with pytest.raises(UsageError, match="ends before it begins"):
        backtest(rule, tmp_path, 5, 4)
    with pytest.raises(UsageError, match="no recording"):
        backtest(rule, tmp_path / "nowhere")

    assert main([*QUICK, "alerts", "backtest", "volume_1s >= 0", "mid > 1", "--data", str(tmp_path), "--to", "2100-01-01"]) == 0
    shown = capsys.readouterr()
    assert "rule-1  sim:BTC-USDT volume_1s >= 0: volume_1s is" in shown.out
    assert "raised" in shown.err and "the tape ends at" in shown.err
    assert main([*QUICK, "alerts", "backtest", "--json", "mid > 1", "--data", str(tmp_path)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["state"], row["flags"], row["instrument"]) == ("raised", ["SIMULATED"], SIM_BTC)
    assert main([*QUICK, "alerts", "backtest", "mid >", "--data", str(tmp_path)]) == 2
    assert "the rule ends" in capsys.readouterr().err


async def test_what_was_removed_from_the_tape_is_said(tmp_path):
    async with SimServer(seed=4, rate=2.0) as sim, running(sim, tmp_path) as run:
        await run.synced()
        for _ in range(3):
            await segment(run)
            await asyncio.sleep(0.3)
    (gone,) = await asyncio.to_thread(prune, tmp_path, OLD, LiveClock().now(), lambda _: gone_to(tmp_path), checkpoint.stamp())
    found = backtest(Rule.of(name="r", text="mid > 1"), tmp_path, quiet_seconds=0)
    assert any(f"frames 1 to {gone.last_seq}" in note for note in found.notes)
    assert {a.instrument for a in found.alerts} == {SIM_BTC, SIM_ETH, SIM_PERP}


def gone_to(data: Path) -> int:
    """All but the last segment may go."""
    return reader.sessions(data)[0].segments[-1].first_seq - 1

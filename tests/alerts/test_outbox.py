"""Sending: alone or together, again and again, never faster than allowed, and never at the cost of another target."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tapeline.alerts.keeper import Keeper
from tapeline.alerts.outbox import Bucket, Post
from tapeline.alerts.targets import Target
from tapeline.clock import SECOND, LiveClock
from tapeline.config import AlertsSettings, TargetSettings
from tapeline.masking import hide
from tests.alerts.making import T0, Recorder, alert
from tests.waiting import until

QUICK = AlertsSettings(backoff_first=0.01, backoff_most=0.02, attempts=4)


class Bench:
    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.posts: list[Post] = []

    async def post(self, recorder: Recorder, name: str = "ops", per_minute: int = 60, settings: AlertsSettings = QUICK) -> Post:
        target = Target(name, TargetSettings(), per_minute, recorder, "")
        post = Post(target, self.keeper.call, settings, LiveClock(), link=lambda: "http://127.0.0.1:1", zone=None)
        self.posts.append(post)
        post.start()
        return post

    async def put(self, *alerts: Any, targets: tuple[str, ...] = ("ops",)) -> None:
        await self.keeper.call(lambda s: s.commit([(a, targets) for a in alerts], {}, T0, outbox=5000, history=10_000))
        for post in self.posts:
            post.wake.set()

    async def counts(self, name: str = "ops") -> dict[str, int]:
        return (await self.keeper.call(lambda s: s.counts())).get(name, {})

    async def done(self, status: str, n: int, name: str = "ops") -> None:
        async with asyncio.timeout(30):
            while (await self.counts(name)).get(status, 0) < n:
                await asyncio.sleep(0.01)


@pytest.fixture
async def bench(tmp_path) -> AsyncIterator[Bench]:
    keeper = Keeper(tmp_path)
    await keeper.open()
    bench = Bench(keeper)
    yield bench
    for post in bench.posts:
        post.target.notifier.gate.set()
        await post.close(2)
    await keeper.close()


async def test_one_alert_is_one_message_that_says_everything(bench):
    recorder = Recorder()
    post = await bench.post(recorder)
    await bench.put(alert(1))
    await bench.done("sent", 1)
    (message,) = recorder.messages
    assert message.title == "SIMULATED [warning] btc-high"
    for said in (
        "mid is over 100000 (1)", "instrument: sim:BTC-USDT", "value: 100001.5", "rule: btc-high", "2026-11-20 00:00:01.000 UTC",
        "SIMULATED: no real market is behind this.", "page: http://127.0.0.1:1", "id: a1",
    ):  # fmt: skip
        assert said in message.body.splitlines() or said in message.body, said
    assert (post.sent, post.failures, post.error) == (1, 0, "")


async def test_a_notifier_that_exits_has_failed_and_the_program_goes_on(bench):
    recorder = Recorder([SystemExit(4)])
    post = await bench.post(recorder)
    await bench.put(alert(1))
    await bench.done("sent", 1)
    assert (len(recorder.messages), post.failures) == (1, 1)


async def test_a_burst_of_a_thousand_is_a_few_messages_and_loses_none(bench):
    recorder = Recorder()
    await bench.put(*(alert(n) for n in range(1000)))
    await bench.post(recorder, per_minute=10)
    await bench.done("sent", 1000)
    assert len(recorder.messages) == 5
    assert [a.id for m in recorder.messages for a in m.alerts] == [f"a{n}" for n in range(1000)]
    first = recorder.messages[0]
    assert (first.id, first.title) == ("a0+199", "SIMULATED [warning] 200 alerts")
    assert "and 190 more" in first.body
    assert len(first.body) < 3000


async def test_past_the_rate_messages_wait_and_come_together(bench):
    recorder = Recorder()
    await bench.post(recorder, per_minute=2)
    for n in range(2):
        await bench.put(alert(n))
        await bench.done("sent", n + 1)
    await bench.put(*(alert(n) for n in range(2, 9)))
    await asyncio.sleep(0.1)
    assert len(recorder.messages) == 2
    assert await bench.counts() == {"sent": 2, "waiting": 7}


async def test_what_fails_is_tried_again_with_the_same_id_until_it_goes_through(bench):
    recorder = Recorder([OSError("no route"), RuntimeError("500")])
    post = await bench.post(recorder)
    await bench.put(alert(1))
    await bench.done("sent", 1)
    assert [m.id for m in recorder.messages] == ["a1"]
    assert (post.sent, post.failures, post.error) == (1, 2, "")
    attempts = await bench.keeper.call(lambda s: s.attempts())
    assert [(a["message"], a["error"]) for a in attempts] == [("a1", ""), ("a1", "500"), ("a1", "no route")]


async def test_what_never_goes_through_is_given_up_and_the_next_is_sent(bench):
    recorder = Recorder([OSError("down")] * 4)
    post = await bench.post(recorder)
    await bench.put(alert(1))
    await bench.done("failed", 1)
    await bench.put(alert(2))
    await bench.done("sent", 1)
    assert ([m.id for m in recorder.messages], post.given_up) == (["a2"], 1)
    (failed,) = [x for x in await bench.keeper.call(lambda s: s.history()) if x["event"].id == "a1"]
    assert [(d["status"], d["attempts"], d["error"]) for d in failed["deliveries"]] == [("failed", 4, "down")]


async def test_a_target_that_hangs_holds_up_nobody_else_and_is_not_called_twice(bench):
    dead, well = Recorder(), Recorder()
    dead.gate.clear()
    impatient = msgspec.structs.replace(QUICK, send_seconds=0.1)
    stuck = await bench.post(dead, "dead", settings=impatient)
    await bench.post(well, "well")
    await bench.put(*(alert(n) for n in range(5)), targets=("dead", "well"))
    await bench.done("sent", 5, "well")
    await until(lambda: stuck.late)
    assert "has not answered for 0.1 s" in stuck.error
    assert dead.calls == 1
    dead.gate.set()
    await bench.done("sent", 5, "dead")
    assert [a.id for m in dead.messages for a in m.alerts] == [f"a{n}" for n in range(5)]
    assert not stuck.late


async def test_a_message_whose_end_is_unknown_is_sent_again_and_says_so(bench):
    await bench.put(alert(1))
    found, _ = await bench.keeper.call(lambda s: s.waiting("ops", 10))
    await bench.keeper.call(lambda s: s.begin(found, "a1", "ops", T0))
    await bench.keeper.call(lambda s: s.revive(T0))
    recorder = Recorder()
    await bench.post(recorder)
    await bench.done("sent", 1)
    (message,) = recorder.messages
    assert message.id == "a1"
    assert "you may have this message already" in message.body


async def test_what_a_notifier_raises_is_masked_wherever_it_is_kept(bench, capsys):
    hide("s3cret-token")
    recorder = Recorder([OSError("https://hooks.example/s3cret-token refused")] * 4)
    post = await bench.post(recorder)
    await bench.put(alert(1))
    await bench.done("failed", 1)
    kept = [await bench.keeper.call(lambda s: s.history()), await bench.keeper.call(lambda s: s.attempts()), post.row(0)]
    assert "s3cret" not in str(kept) + capsys.readouterr().out
    assert "https://hooks.example/*** refused" in str(kept)


async def test_the_end_waits_for_nobody_who_hangs(bench):
    recorder = Recorder()
    recorder.gate.clear()
    post = await bench.post(recorder)
    await bench.put(alert(1))
    await until(lambda: recorder.calls)
    await post.close(0.05)
    assert await bench.counts() == {"sending": 1}, "the next start sends it again"


def test_the_bucket_lets_a_burst_through_and_then_one_at_a_time():
    bucket = Bucket(6, T0)
    for _ in range(6):
        assert bucket.left(T0) >= 1
        bucket.take()
    assert bucket.left(T0) < 1
    assert bucket.seconds() == pytest.approx(10)
    assert bucket.left(T0 + 10 * SECOND) == pytest.approx(1)
    assert bucket.left(T0 + 3600 * SECOND) == 6

"""Redis' own promises: entries and position go together, a commit of several transactions resumes, who else writes is told."""

import socket
import time

import pytest

from tapeline.clock import LiveClock
from tapeline.config import RedisSettings, SinkSettings
from tapeline.engine.bus import Bus
from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Trade
from tapeline.sinks import redis as module
from tapeline.sinks.recovery import repair
from tapeline.sinks.redis import RedisSink
from tapeline.sinks.runner import SinkRunner
from tests.services.redis import RedisServer
from tests.services.server import free_port
from tests.sinks.fakes import Tape
from tests.sinks.helpers import BTC, T0, batches, frames
from tests.sinks.peers import expected, read_redis

MADE = frames(300)


def flat(made):
    return [e for events in made for e in events]


@pytest.fixture(scope="module")
def server():
    started = RedisServer("--appendonly", "no").start()
    yield started
    started.end()


@pytest.fixture
def settings(server):
    server.cli("FLUSHALL")
    return RedisSettings(address=server.url())


@pytest.fixture
def sink(settings, tmp_path):
    made = RedisSink(tmp_path, settings)
    made.open()
    yield made
    made.close()


def test_a_commit_of_several_transactions_resumes_in_its_middle(sink, settings, monkeypatch):
    monkeypatch.setattr(module, "EXEC_EVENTS", 7)
    execute, left = sink._execute, [3]

    def breaks(*given):
        if not left[0]:
            raise OSError("the line is dead")
        left[0] -= 1
        execute(*given)

    monkeypatch.setattr(sink, "_execute", breaks)
    with pytest.raises(OSError, match="the line is dead"):
        sink.commit("s", 99, flat(MADE[:100]))
    assert len(read_redis(settings)) == 21
    assert sink.position("s") == -1
    left[0] = 1 << 30
    for seq in range(5):  # a replay may cut elsewhere: less than is out already, and then more than was tried
        sink.commit("s", seq, MADE[seq])
        assert len(read_redis(settings)) == 21
    sink.commit("s", 199, flat(MADE[5:200]))
    assert read_redis(settings) == expected("s", flat(MADE[:200]))
    sink.commit("s", 299, flat(MADE[200:]))
    assert read_redis(settings) == expected("s", flat(MADE))


def test_an_exec_whose_answer_is_lost_is_found_again(sink, settings, monkeypatch):
    from redis.client import Pipeline

    execute = Pipeline.execute

    def deaf(self, *given, **more):
        execute(self, *given, **more)
        raise TimeoutError("no answer")

    monkeypatch.setattr(Pipeline, "execute", deaf)
    with pytest.raises(OSError, match="no answer"):
        sink.commit("s", 99, flat(MADE[:100]))
    monkeypatch.undo()
    assert sink.position("s") == 99
    assert read_redis(settings) == expected("s", flat(MADE[:100]))


async def test_flushed_while_it_is_written_it_begins_again_from_the_tape(sink, settings, server, tmp_path):
    tape, bus = Tape(s=MADE), Bus()
    runner = SinkRunner(
        sink,
        bus.subscribe("redis", 10_000, "drop"),
        settings=SinkSettings(commit_seconds=0.01, batch_events=20),
        clock=LiveClock(),
        synced=tape.synced,
        catch_up=tape.catch_up,
        backoff_first=0.01,
    )
    runner.start()
    parts = batches(MADE, "s", 10)
    for batch in parts[:10]:
        bus.publish(batch)
    await reaches(server, 99)
    server.cli("FLUSHALL")
    for batch in parts[10:20]:
        bus.publish(batch)
    await quiet(runner)
    for batch in parts[20:]:
        bus.publish(batch)
    await reaches(server, 299)
    assert await runner.close(30)
    assert read_redis(settings) == expected("s", flat(MADE))


async def reaches(server, seq):
    import asyncio

    while f'"seq":{seq},' not in server.cli("HGET", "tapeline:positions", "s"):
        await asyncio.sleep(0.01)


async def quiet(runner):
    import asyncio

    while runner.stats.depth:
        await asyncio.sleep(0.01)


def test_a_server_that_forgets_at_its_restart_gets_finished_sessions_again_too(tmp_path):
    server = RedisServer("--appendonly", "no").start()
    try:
        sink = RedisSink(tmp_path, RedisSettings(address=server.url()))
        sink.open()
        tape = Tape(s1=MADE, s2=MADE[:50])
        repair(tmp_path, [sink], ["s1", "s2"], tape.catch_up)
        assert sorted(sink.finished()) == ["s1", "s2"]
        server.kill()
        server.start()
        assert read_redis(RedisSettings(address=server.url())) == {}
        reports = repair(tmp_path, [sink], ["s1", "s2"], tape.catch_up)
        assert [r.error for r in reports] == ["", ""]
        found = read_redis(RedisSettings(address=server.url()))
        assert found == expected("s1", flat(MADE)) | expected("s2", flat(MADE[:50]))
        sink.close()
    finally:
        server.end()


def test_without_memory_it_is_an_error_and_afterwards_it_goes_on(sink, settings, server):
    sink.commit("s", 99, flat(MADE[:100]))
    server.cli("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(OSError, match="used memory"):
            sink.commit("s", 199, flat(MADE[100:200]))
    finally:
        server.cli("CONFIG", "SET", "maxmemory", "0")
    assert sink.position("s") == 99
    sink.commit("s", 199, flat(MADE[100:200]))
    assert read_redis(settings) == expected("s", flat(MADE[:200]))


def test_streams_are_trimmed_and_the_position_stands(settings, server, tmp_path):
    sink = RedisSink(tmp_path, RedisSettings(address=server.url(), most_entries=200))
    sink.open()
    trades = [Trade(BTC, T0, T0, 0, 1.0, 1.0, "buy", str(i)) for i in range(5000)]
    sink.commit("s", 7, trades)
    assert 200 <= int(server.cli("XLEN", f"tapeline:trade:{BTC}")) < 400
    assert sink.position("s") == 7
    sink.close()


def test_another_data_directory_is_refused_until_the_first_has_gone(sink, settings, server, tmp_path):
    other = RedisSink(tmp_path / "other", settings)
    with pytest.raises(ConfigError, match=r"another tapeline writes there, from another data directory.*another prefix"):
        other.open()
    sink.commit("s", 1, flat(MADE[:2]))
    server.cli("DEL", "tapeline:writer")  # as if it had been silent for too long
    other.open()
    with pytest.raises(ConfigError, match="another tapeline writes there"):
        sink.commit("s", 2, flat(MADE[2:3]))
    other.close()
    sink.commit("s", 2, flat(MADE[2:3]))
    assert read_redis(settings) == expected("s", flat(MADE[:3]))


def test_after_a_crash_it_is_itself_again_at_once(settings, tmp_path):
    first = RedisSink(tmp_path, settings)
    first.open()
    first._claim.release()  # what the kernel does for a process that is killed; the lease in Redis stands
    again = RedisSink(tmp_path, settings)
    again.open()
    again.close()


def test_a_position_that_is_none_of_ours_is_said(sink, server):
    server.cli("HSET", "tapeline:positions", "s", "yesterday")
    with pytest.raises(IntegrityError, match="tapeline:positions holds b'yesterday'"):
        sink.position("s")


def refused(settings, data, match):
    with pytest.raises(ConfigError, match=match) as caught:
        RedisSink(data, settings).open()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_wrong_settings_are_one_clear_line_each(server, tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        refused(
            RedisSettings(address=f"redis://127.0.0.1:{s.getsockname()[1]}/0"), tmp_path, "cannot be used.*refused.*start it"
        )
    refused(RedisSettings(address="localhost:6379"), tmp_path, "is no address")
    refused(RedisSettings(address=server.url(99999)), tmp_path, "DB index")


def test_password_and_rights(tmp_path, monkeypatch):
    secret = "correct horse"
    server = RedisServer("--requirepass", secret).start()
    try:
        settings = RedisSettings(address=server.url())
        refused(settings, tmp_path, "lets nobody in.*TAPELINE_REDIS_PASSWORD")
        monkeypatch.setenv("TAPELINE_REDIS_PASSWORD", "wrong battery")
        assert "battery" not in refused(settings, tmp_path, "lets nobody in.*TAPELINE_REDIS_PASSWORD")
        monkeypatch.setenv("TAPELINE_REDIS_PASSWORD", secret)
        server.cli("-a", secret, "ACL", "SETUSER", "reader", "on", ">readonly", "~*", "&*", "+@read", "+info", "+client")
        sink = RedisSink(tmp_path, settings)
        sink.open()
        sink.commit("s", 0, flat(MADE[:1]))
        sink.close()
        monkeypatch.setenv("TAPELINE_REDIS_PASSWORD", "readonly")
        refused(RedisSettings(address=f"redis://reader@127.0.0.1:{server.port}/0"), tmp_path, "does not allow it.*set")
    finally:
        server.end()


def test_a_cluster_is_refused(tmp_path):
    server = RedisServer("--cluster-enabled", "yes", "--cluster-port", str(free_port())).start()  # else 10,000 above its own
    try:
        refused(RedisSettings(address=server.url()), tmp_path, "Redis Cluster, which is not supported")
    finally:
        server.end()


def test_a_second_between_commits_costs_no_lease(sink, settings, server):
    sink.commit("s", 0, flat(MADE[:1]))
    assert 0 < int(server.cli("PTTL", "tapeline:writer")) <= module.LEASE_SECONDS * 1000
    time.sleep(0.01)
    sink.commit("s", 1, [])
    assert int(server.cli("PTTL", "tapeline:writer")) > module.LEASE_SECONDS * 1000 - 5000

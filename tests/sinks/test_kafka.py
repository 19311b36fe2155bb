"""Kafka's own promises: a commit is whole or not there, who is fenced off is told, an answer that is lost is found again."""

import shutil

import msgspec
import pytest

from tapeline.config import KafkaSettings
from tapeline.errors import ConfigError
from tapeline.events import TYPES, BookUpdate, Trade
from tapeline.sinks import kafka as module
from tapeline.sinks.kafka import KafkaSink
from tests.services.kafka import KafkaServer, consumed
from tests.sinks.helpers import BTC, T0, frames
from tests.sinks.peers import expected, read_kafka

MADE = frames(300)


def flat(made):
    return [e for events in made for e in events]


@pytest.fixture(scope="module")
def server():
    started = KafkaServer().start()
    yield started
    started.end()


@pytest.fixture
def settings(server, request):
    return KafkaSettings(brokers=server.address(), topic=f"T{abs(hash(request.node.name))}.{{kind}}", partitions=2)


@pytest.fixture
def sink(settings, tmp_path):
    made = KafkaSink(tmp_path, settings)
    made.open()
    yield made
    made.close()


class Faulty:
    """A producer whose method `name` fails when it is called for the `nth` time, before or after it does what it should."""

    def __init__(self, producer, name, nth=1, *, after=False):
        self._producer, self._name, self._nth, self._after = producer, name, nth, after

    def __len__(self):
        return len(self._producer)

    def __getattr__(self, name):
        method = getattr(self._producer, name)
        return self._fail(method) if name == self._name else method

    def _fail(self, method):
        def call(*given, **more):
            self._nth -= 1
            if self._nth or self._after:
                method(*given, **more)
            if not self._nth:
                raise TimeoutError("no answer")

        return call


def test_what_was_not_committed_is_there_for_nobody_who_reads_committed_messages(sink, settings):
    sink.commit("s", 9, flat(MADE[:10]))
    sink._producer = Faulty(sink._producer, "commit_transaction")
    with pytest.raises(OSError, match="no answer"):
        sink.commit("s", 99, flat(MADE[10:100]))
    prefix = settings.topic.removesuffix("{kind}")
    assert sink.position("s") == 9  # asks again, and so has the open transaction aborted
    assert read_kafka(settings) == expected("s", flat(MADE[:10]))
    assert len(list(consumed(settings.brokers, prefix, "read_uncommitted"))) > len(flat(MADE[:100]))
    sink.commit("s", 99, flat(MADE[10:100]))
    assert read_kafka(settings) == expected("s", flat(MADE[:100]))


def test_a_commit_whose_answer_is_lost_is_found_again(sink, settings):
    sink._producer = Faulty(sink._producer, "commit_transaction", after=True)
    with pytest.raises(OSError, match="no answer"):
        sink.commit("s", 99, flat(MADE[:100]))
    assert sink.position("s") == 99
    assert read_kafka(settings) == expected("s", flat(MADE[:100]))


def test_a_commit_of_several_transactions_resumes_in_its_middle(sink, settings, monkeypatch):
    monkeypatch.setattr(module, "TRANSACTION_EVENTS", 7)
    sink._producer = Faulty(sink._producer, "commit_transaction", nth=4)
    with pytest.raises(OSError, match="no answer"):
        sink.commit("s", 99, flat(MADE[:100]))
    assert sink.position("s") == -1
    assert len(read_kafka(settings)) == 21
    for seq in range(5):  # a replay may cut elsewhere: less than is out already, and then more than was tried
        sink.commit("s", seq, MADE[seq])
        assert len(read_kafka(settings)) == 21
    sink.commit("s", 199, flat(MADE[5:200]))
    assert read_kafka(settings) == expected("s", flat(MADE[:200]))


def test_a_copy_of_the_data_directory_fences_off_the_first_and_nothing_is_doubled(sink, settings, tmp_path):
    sink.commit("s", 9, flat(MADE[:10]))
    shutil.copytree(tmp_path / "publish", tmp_path / "copy" / "publish", ignore=shutil.ignore_patterns("*.lock*"))
    copy = KafkaSink(tmp_path / "copy", settings)
    copy.open()
    assert copy.position("s") == 9
    copy.commit("s", 19, flat(MADE[10:20]))
    with pytest.raises(ConfigError, match="another tapeline publishes from a copy of this directory"):
        sink.commit("s", 19, flat(MADE[10:20]))
    with pytest.raises(OSError, match="stands elsewhere than before"):
        sink.commit("s", 19, flat(MADE[10:20]))
    assert sink.position("s") == 19
    copy.close()
    assert read_kafka(settings) == expected("s", flat(MADE[:20]))


def test_two_data_directories_share_the_topics(sink, settings, tmp_path):
    other = KafkaSink(tmp_path / "other", settings)
    other.open()
    for i in range(0, 50, 10):
        sink.commit("a", i + 9, flat(MADE[i : i + 10]))
        other.commit("b", i + 9, flat(MADE[i : i + 10]))
    other.close()
    assert read_kafka(settings) == expected("a", flat(MADE[:50])) | expected("b", flat(MADE[:50]))


def large_book(levels):
    side = [(round(100_000 + i * 0.01, 2), i * 0.001) for i in range(levels)]
    return [Trade(BTC, T0, T0, 0, 1.0, 2.0, "buy", "1"), BookUpdate(BTC, T0, T0, 1, side, side, True, 9, None)]


def test_a_book_larger_than_the_broker_takes_comes_in_parts(sink, settings):
    sink.commit("s", 0, large_book(60_000))
    prefix = settings.topic.replace("{kind}", "book")
    assert [dict(m.headers())["part"] for m in consumed(settings.brokers, prefix)] == [b"1", b"2", b"3"]
    assert read_kafka(settings) == expected("s", large_book(60_000))


def test_a_broker_that_takes_less_gets_smaller_parts_after_an_error(tmp_path):
    server = KafkaServer(largest=300_000).start()
    try:
        settings = KafkaSettings(brokers=server.address())
        sink = KafkaSink(tmp_path, settings)
        sink.open()
        for _ in range(2):  # 900 kB, 450 kB
            with pytest.raises(OSError, match="Message size too large"):
                sink.commit("s", 0, large_book(30_000))
        sink.commit("s", 0, large_book(30_000))
        assert read_kafka(settings) == expected("s", large_book(30_000))
        sink.close()
    finally:
        server.end()


def test_topics_are_made_with_their_partitions_or_it_is_said_that_they_cannot(sink, settings, server, tmp_path):
    from confluent_kafka.admin import AdminClient

    prefix = settings.topic.removesuffix("{kind}")
    topics = AdminClient({"bootstrap.servers": settings.brokers}).list_topics(timeout=30).topics
    made = {t.removeprefix(prefix): len(about.partitions) for t, about in topics.items() if t.startswith(prefix)}
    assert made == {**dict.fromkeys(TYPES, 2), "positions": 1}
    strict = KafkaServer()
    (strict.folder / "forbidden").touch()
    strict.start()
    try:
        refused(KafkaSettings(brokers=strict.address()), tmp_path / "d", "topic tapeline.* is missing and cannot be made")
    finally:
        strict.end()


def refused(settings, data, match):
    with pytest.raises(ConfigError, match=match) as caught:
        KafkaSink(data, settings).open()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_options_that_are_none_are_said(server, tmp_path):
    refused(KafkaSettings(brokers=server.address(), options=("fast",)), tmp_path, "write NAME=VALUE")
    refused(KafkaSettings(brokers=server.address(), options=("no.such=1",)), tmp_path, r'kafka\.options.*No such.*"no\.such"')


def test_password(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 5.0)
    server = KafkaServer("right horse").start()
    try:
        options = ("security.protocol=SASL_PLAINTEXT", "sasl.mechanism=PLAIN", "sasl.username=me")
        settings = KafkaSettings(brokers=server.address(), options=options)
        monkeypatch.setenv("TAPELINE_KAFKA_PASSWORD", "wrong battery")
        assert "battery" not in refused(settings, tmp_path, "let nobody in.*TAPELINE_KAFKA_PASSWORD")
        monkeypatch.setenv("TAPELINE_KAFKA_PASSWORD", "right horse")
        sink = KafkaSink(tmp_path, settings)
        sink.open()
        sink.commit("s", 0, flat(MADE[:1]))
        sink.close()
    finally:
        server.end()


def test_librdkafkas_own_mock_cluster_takes_it_too(tmp_path):
    """Another implementation of the broker's side. It makes topics when they are asked for, and does not abort nor fence."""
    from confluent_kafka import Producer

    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0})
    (broker,) = cluster.list_topics(timeout=30).brokers.values()
    for kind in (*TYPES, "positions"):
        cluster.produce(f"tapeline.{kind}", None, "made")
    assert cluster.flush(30) == 0
    settings = KafkaSettings(brokers=f"{broker.host}:{broker.port}")
    sink = KafkaSink(tmp_path, settings)
    sink._read_positions, first = dict, sink._read_positions  # the messages that made the topics are no positions
    sink.open()
    sink._read_positions = first
    sink.commit("s", 99, flat(MADE[:100]))
    sink.commit("s", 199, flat(MADE[100:200]))
    sink.close()
    bodies = {}
    for message in consumed(settings.brokers, "tapeline.", crcs=False):
        if message.headers():
            headers = dict(message.headers())
            bodies[headers["session"].decode(), int(headers["n"])] = message.value()
    assert {key: msgspec.json.decode(body) for key, body in bodies.items()} == expected("s", flat(MADE[:200]))

"""NATS' own promises: the beginning of a commit is found again, what the server refuses is told, a stream that lost something is noticed."""

import json

import pytest

from tapeline.config import NatsSettings
from tapeline.errors import ConfigError
from tapeline.events import BookUpdate, Status, Trade
from tapeline.sinks import nats_link
from tapeline.sinks.nats import NatsSink
from tests.services.nats import NatsServer, Raw
from tests.sinks.helpers import BTC, T0, frames
from tests.sinks.peers import Pieces, expected, read_nats

MADE = frames(300)


def flat(made):
    return [e for events in made for e in events]


@pytest.fixture(scope="module")
def server():
    started = NatsServer().start()
    yield started
    started.end()


@pytest.fixture
def settings(server, request):
    name = f"T{abs(hash(request.node.name))}"
    return NatsSettings(servers=server.url(), stream=name, subject=name)


@pytest.fixture
def sink(settings, tmp_path):
    made = NatsSink(tmp_path, settings)
    made.open()
    yield made
    made.close()


def breaks_off(monkeypatch, after):
    """The line dies after so many messages."""
    sent = nats_link._Acks.sent

    def breaks(self, size):
        nonlocal after
        after -= 1
        if not after:
            raise OSError("the line is dead")
        sent(self, size)

    monkeypatch.setattr(nats_link._Acks, "sent", breaks)


@pytest.mark.parametrize("after", [1, 2, 30, 100])
def test_a_commit_that_breaks_off_goes_on_from_where_it_was(sink, settings, monkeypatch, after):
    sink.commit("s", 9, flat(MADE[:10]))
    sink.commit("other", 9, flat(MADE[:10]))
    breaks_off(monkeypatch, after)
    with pytest.raises(OSError, match="the line is dead"):
        sink.commit("s", 99, flat(MADE[10:100]))
    monkeypatch.undo()
    sink.commit("other", 19, flat(MADE[10:20]))  # between the two halves
    assert sink.position("s") == 9
    for seq in range(10, 15):  # a replay may cut elsewhere: less than is there already, and then more than was tried
        sink.commit("s", seq, MADE[seq])
    sink.commit("s", 199, flat(MADE[15:200]))
    assert read_nats(settings) == expected("s", flat(MADE[:200])) | expected("other", flat(MADE[:20]))


def test_a_position_whose_answer_is_lost_is_found_again(sink, settings, monkeypatch):
    sink.commit("s", 9, flat(MADE[:10]))
    put = NatsSink._put

    def deaf(self, *given):
        put(self, *given)
        raise TimeoutError

    monkeypatch.setattr(NatsSink, "_put", deaf)
    with pytest.raises(OSError, match="no answer in time"):
        sink.commit("s", 99, flat(MADE[10:100]))
    monkeypatch.undo()
    assert sink.position("s") == 99
    assert read_nats(settings) == expected("s", flat(MADE[:100]))


def test_a_book_larger_than_the_server_takes_comes_in_parts(sink, settings):
    levels = [(round(100_000 + i * 0.01, 2), i * 0.001) for i in range(60_000)]
    book = BookUpdate(BTC, T0, T0, 1, levels, levels, True, 9, None)
    events = [Trade(BTC, T0, T0, 0, 1.0, 2.0, "buy", "1"), book, Trade(BTC, T0, T0, 0, 1.0, 2.0, "buy", "2")]
    sink.commit("s", 0, events)
    pieces = Pieces()
    with Raw(settings.servers) as raw:
        found = [body for _, headers, piece in raw.stream(settings.stream) if (body := pieces.joined(headers, piece))]
    assert [json.loads(body)["type"] for body in found] == ["trade", "book", "trade"]
    assert len(found[1]) > 2 << 20
    assert pieces.joins == 1
    assert read_nats(settings) == expected("s", events)


def test_a_book_that_breaks_off_between_its_parts_begins_anew(sink, settings, monkeypatch):
    levels = [(round(100_000 + i * 0.01, 2), i * 0.001) for i in range(60_000)]
    events = [Trade(BTC, T0, T0, 0, 1.0, 2.0, "buy", "1"), BookUpdate(BTC, T0, T0, 1, levels, levels, True, 9, None)]
    breaks_off(monkeypatch, 3)
    with pytest.raises(OSError, match="the line is dead"):
        sink.commit("s", 0, events)
    monkeypatch.undo()
    sink.commit("other", 9, flat(MADE[:10]))
    sink.commit("s", 0, events)
    assert read_nats(settings) == expected("s", events) | expected("other", flat(MADE[:10]))


def test_two_data_directories_take_turns_on_one_stream(sink, settings, tmp_path):
    other = NatsSink(tmp_path / "other", settings)
    other.open()
    for i in range(0, 100, 10):
        sink.commit("a", i + 9, flat(MADE[i : i + 10]))
        other.commit("b", i + 9, flat(MADE[i : i + 10]))
    other.close()
    assert read_nats(settings) == expected("a", flat(MADE[:100])) | expected("b", flat(MADE[:100]))


def test_subjects_have_no_blanks_dots_or_wildcards(sink, settings):
    odd = [
        Trade("yahoo:BRK.B", T0, T0, 0, 1.0, 1.0, "buy", ""),
        Trade("yahoo:A B*>%", T0, T0, 0, 1.0, 1.0, "buy", ""),
        Status("", T0, T0, 0, "connected", "kraken", "", "", None, None, None),
    ]
    sink.commit("s", 0, odd)
    with Raw(settings.servers) as raw:
        subjects = [subject.removeprefix(f"{settings.subject}.") for subject, _, _ in raw.stream(settings.stream)]
    assert subjects == ["trade.yahoo.BRK%2EB", "trade.yahoo.A%20B%2A%3E%25", "status.kraken._"]


@pytest.mark.parametrize("how", ["deleted", "shortened"])
def test_a_stream_that_lost_messages_gets_them_again(sink, settings, server, how):
    sink.commit("old", 9, flat(MADE[:10]))
    sink.finish("old")
    sink.commit("s", 99, flat(MADE[:100]))
    if how == "deleted":
        with Raw(server.url()) as raw:
            raw.ask(f"$JS.API.STREAM.DELETE.{settings.stream}")
        left = {}
    else:  # as after a power cut: the end of the stream is not there any more, the positions are
        place = sink._places["s"]
        sink._put(
            sink._open_link, "s", type(place)(**{f: getattr(place, f) for f in place.__struct_fields__} | {"last": 10_000})
        )
        sink._drop()
        left = expected("old", flat(MADE[:10]))
    with pytest.raises(OSError, match=r"begins again from the tape|no response from stream"):
        sink.commit("s", 199, flat(MADE[100:200]))
    assert sink.position("s") == -1
    assert list(sink.finished()) == (["old"] if left else [])
    if how == "deleted":
        sink.commit("s", 199, flat(MADE[:200]))
        assert read_nats(settings) == expected("s", flat(MADE[:200]))


def test_a_stream_that_is_full_is_an_error_and_afterwards_it_goes_on(sink, settings, server):
    sink.commit("s", 9, flat(MADE[:10]))
    with Raw(server.url()) as raw:
        config = raw.ask(f"$JS.API.STREAM.INFO.{settings.stream}")["config"]
        limit = {**config, "max_msgs": len(flat(MADE[:10])) + 20, "discard": "new"}
        assert "error" not in raw.ask(f"$JS.API.STREAM.UPDATE.{settings.stream}", limit)
        with pytest.raises(OSError, match="maximum messages exceeded"):
            sink.commit("s", 99, flat(MADE[10:100]))
        assert "error" not in raw.ask(f"$JS.API.STREAM.UPDATE.{settings.stream}", {**limit, "max_msgs": -1})
    assert sink.position("s") == 9
    sink.commit("s", 99, flat(MADE[10:100]))
    assert read_nats(settings) == expected("s", flat(MADE[:100]))


def refused(settings, data, match):
    sink = NatsSink(data, settings)
    with pytest.raises(ConfigError, match=match) as caught:
        sink.open()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_server_without_jetstream_is_said(tmp_path):
    server = NatsServer("--no_advertise").start()
    try:
        refused(NatsSettings(servers=server.url()), tmp_path, "has no JetStream.*nats-server -js")
    finally:
        server.end()


def test_a_stream_that_takes_other_subjects_is_said(server, tmp_path):
    with Raw(server.url()) as raw:
        assert "error" not in raw.ask("$JS.API.STREAM.CREATE.ELSE", {"name": "ELSE", "subjects": ["else.>"]})
    refused(NatsSettings(servers=server.url(), stream="ELSE", subject="mine"), tmp_path, r"does not take the subjects mine\.>")
    refused(NatsSettings(servers=server.url(), stream="NEW", subject="else"), tmp_path, "overlap")


RIGHTS = """
jetstream: enabled
authorization { users = [
  { user: writer, password: "right horse" }
  { user: reader, password: "right horse", permissions: { publish: ["$JS.API.>", "$KV.>"], subscribe: ">" } }
] }
"""


def test_password_and_rights(tmp_path, monkeypatch):
    server = NatsServer("-c", str(tmp_path / "conf"))
    (tmp_path / "conf").write_text(RIGHTS)
    server.start()
    monkeypatch.setattr("tapeline.sinks.nats.ANSWER_SECONDS", 2.0)
    try:
        refused(NatsSettings(servers=server.url()), tmp_path / "d", "lets nobody in.*TAPELINE_NATS_PASSWORD")
        writer = NatsSettings(servers=server.url().replace("//", "//writer@"))
        monkeypatch.setenv("TAPELINE_NATS_PASSWORD", "wrong battery")
        assert "battery" not in refused(writer, tmp_path / "d", "lets nobody in.*TAPELINE_NATS_PASSWORD")
        monkeypatch.setenv("TAPELINE_NATS_PASSWORD", "right horse")
        sink = NatsSink(tmp_path / "d", writer)
        sink.open()
        sink.commit("s", 0, flat(MADE[:1]))
        sink.close()
        reader = NatsSettings(servers=server.url().replace("//", "//reader@"))
        refused(reader, tmp_path / "d", "does not allow it.*(?i:permissions violation)")
    finally:
        server.end()


def test_the_next_server_is_tried_where_the_first_does_not_answer(server, tmp_path):
    sink = NatsSink(tmp_path, NatsSettings(servers=f"nats://127.0.0.1:1, {server.url()}", stream="SECOND", subject="second"))
    sink.open()
    sink.commit("s", 0, flat(MADE[:1]))
    sink.close()

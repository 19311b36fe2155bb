"""What is QuestDB's own, against its stand-in (`tests/services/questdb.py`): rows that come again, lag, outages, settings."""

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeline.config import QuestdbSettings, Settings, SinkSettings
from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Alert, Bar, BookUpdate, Event, Trade
from tapeline.sinks import questdb as sinks_questdb
from tapeline.sinks.questdb import QuestdbSink
from tapeline.sinks.registry import make
from tests.services.questdb import QuestDB
from tests.sinks.helpers import BTC, T0, frames, in_order, one_of_each, row
from tests.sinks.subjects.questdb_subject import read

PREFIX = "tapeline_"


@pytest.fixture
def server() -> Iterator[QuestDB]:
    server = QuestDB().start()
    yield server
    server.stop()


@pytest.fixture
def sink(server: QuestDB, tmp_path: Path) -> Iterator[QuestdbSink]:
    sink = QuestdbSink(tmp_path, QuestdbSettings(address=server.address))
    sink.open()
    yield sink
    sink.close()


def flat(made: list[list[Event]]) -> list[Event]:
    return [e for events in made for e in events]


def holds(server: QuestDB, events: list[Event]) -> None:
    assert in_order(read(server, PREFIX)) == in_order([row(e) for e in events])


def stored(server: QuestDB, table: str) -> list[dict[str, object]]:
    return list(server.tables[PREFIX + table].rows.values())


def test_levels_are_prices_and_sizes_and_an_empty_side_is_null(server, sink):
    sink.commit("s", 0, [BookUpdate(BTC, T0, T0, 0, [(1.5, 2.0), (1.4, 0.0)], [], True, 9, None)])
    (found,) = stored(server, "book_updates")
    assert found["bids"].tolist() == [[1.5, 1.4], [2.0, 0.0]]
    assert "asks" not in found
    assert found["timestamp"] == T0


def test_a_row_lies_where_it_can_be_found(server, sink):
    far, early, before_1970 = T0 * 3, 17_000_000, -5
    sink.commit("s", 0, [Trade(BTC, ts, T0, 0, 1.0, 1.0, "buy", "") for ts in (far, early, before_1970, T0 + 1)])
    bar = Bar(BTC, T0, T0, 0, "1m", T0 - 60, 1.0, 2.0, 0.5, 1.5, 10.0, None, None, None, None, False, 0, "venue")
    sink.commit("s", 1, [bar, Trade(BTC, T0, T0, 256, 1.0, 1.0, "buy", "")])
    times = [(r["ts_event"], r["timestamp"]) for r in stored(server, "trades")]
    assert times == [(far, T0), (early, T0), (before_1970, T0), (T0 + 1, T0 + 1), (T0, T0)]
    assert stored(server, "bars")[0]["timestamp"] == T0 - 60


def test_texts_and_numbers_that_the_line_protocol_escapes(server, sink):
    odd: list[Event] = [
        Alert('we,i=r"d \\', T0, T0, 0, "a b,c=d", "new\nline", math.inf, 'quo"te \\ back\nslash ☂'),
        Alert(BTC, T0, T0, 0, "ü", "", -0.0, ""),
    ]
    sink.commit("s", 0, odd)
    holds(server, odd)


def test_a_commit_that_fails_half_way_comes_again_and_replaces_itself(server, sink):
    made = frames(300)
    sink.commit("s", 99, flat(made[:100]))
    for failing in range(1, 6):  # the first request of a commit, the second, … the position's
        requests = iter(range(1, 100))
        server.trouble = lambda path, at=failing, count=requests: 503 if path == "/write" and next(count) == at else None
        with pytest.raises(OSError, match=r"QuestDB at http://127.0.0.1:\d+: .*in trouble"):
            sink.commit("s", 199, flat(made[100:200]))
        assert sink.position("s") == 99
        holds(server, flat(made[:100]))
    server.trouble = lambda _: None
    sink.commit("s", 249, flat(made[100:250]))
    sink.commit("s", 299, flat(made[250:]))
    holds(server, flat(made))
    assert sum(len(t.rows) for t in server.tables.values()) == len(flat(made)) + 1


def test_an_answer_that_gets_lost_does_no_harm(server, sink):
    made = frames(100)

    def lose(_: str) -> int | None:
        raise ConnectionError

    server.after = lose
    with pytest.raises(OSError, match="QuestDB at"):
        sink.commit("s", 99, flat(made))
    server.after = lambda _: None
    sink.commit("s", 99, flat(made))
    holds(server, flat(made))


def test_a_position_that_is_not_visible_yet_sends_rows_again_in_other_commits(server, sink, tmp_path):
    made = frames(200)
    sink.commit("s", 49, flat(made[:50]))
    server.lagging = True
    sink.commit("s", 149, flat(made[50:150]))
    assert sink.position("s") == 149
    sink.close()
    sink.open()
    assert sink.position("s") == 49
    sink.commit("s", 99, flat(made[50:100]))
    sink.commit("s", 199, flat(made[100:]))
    server.lagging = False
    holds(server, flat(made))
    assert sum(len(t.rows) for t in server.tables.values()) == len(flat(made)) + 1


def test_a_large_commit_goes_in_several_requests(server, sink, monkeypatch):
    monkeypatch.setattr(sinks_questdb, "REQUEST_BYTES", 10_000)
    requests: list[str] = []
    server.trouble = requests.append
    made = frames(400)
    sink.commit("s", 399, flat(made))
    assert requests.count("/write") > 8
    holds(server, flat(made))


def test_a_server_that_goes_away_and_comes_back(server, sink):
    made = frames(100)
    sink.commit("s", 49, flat(made[:50]))
    server.stop()
    for _ in range(2):
        with pytest.raises(OSError, match="QuestDB at"):
            sink.commit("s", 99, flat(made[50:]))
    with pytest.raises(OSError, match="QuestDB at"):
        sink.position("another")
    server.start()
    sink.commit("s", 99, flat(made[50:]))
    holds(server, flat(made))


def test_a_server_that_stands_still_is_given_up(server, tmp_path):
    sink = QuestdbSink(tmp_path, QuestdbSettings(address=server.address), seconds=1.5)
    sink.open()
    sink.commit("s", 0, [])
    goes_on = threading.Event()

    def stand_still(_: str) -> None:
        goes_on.wait(60)

    server.trouble = stand_still
    with pytest.raises(OSError, match="timeout"):
        sink.commit("s", 1, one_of_each())
    with pytest.raises(OSError, match="timed out"):
        sink.position("another")
    sink.close()
    with pytest.raises(ConfigError, match=r"timed out; start it, or set another address"):
        sink.open()
    goes_on.set()
    server.trouble = lambda _: None
    sink.open()
    sink.commit("s", 1, one_of_each())
    sink.close()
    holds(server, one_of_each())


def test_a_sink_that_is_not_open_says_so(tmp_path):
    with pytest.raises(IntegrityError, match="call open"):
        QuestdbSink(tmp_path, QuestdbSettings()).position("s")


def refused(settings: QuestdbSettings, data: Path) -> str:
    with pytest.raises(ConfigError) as e:
        QuestdbSink(data, settings).open()
    assert "\n" not in str(e.value)
    return str(e.value)


def test_settings_that_cannot_be(tmp_path, monkeypatch):
    for address in (
        "localhost",
        "http://localhost:9000",
        "me:secret@localhost:9000",
        "localhost:x",
        "localhost:99999",
        ":9000",
    ):
        said = refused(QuestdbSettings(address=address), tmp_path)
        assert said.startswith("setting questdb.address = ")
        assert "as in localhost:9000" in said
    for prefix in ("", "9x", "a b", 'x"', "ü"):
        assert refused(QuestdbSettings(prefix=prefix), tmp_path).startswith("setting questdb.prefix = ")
    monkeypatch.setenv("TAPELINE_QUESTDB_PASSWORD", "right-horse")
    assert "set the user" in refused(QuestdbSettings(), tmp_path)


def test_who_is_let_in(server, tmp_path, monkeypatch):
    server.needs_password("me", "right; horse")
    assert "(HTTP 401); set TAPELINE_QUESTDB_TOKEN" in refused(QuestdbSettings(address=server.address), tmp_path)
    monkeypatch.setenv("TAPELINE_QUESTDB_PASSWORD", "right; horse")
    for token, needed in (("", server.needs), ("a-token-of-mine", "Bearer a-token-of-mine")):
        server.needs = needed
        monkeypatch.setenv("TAPELINE_QUESTDB_TOKEN", token)
        sink = QuestdbSink(tmp_path, QuestdbSettings(address=server.address, user="me"))
        sink.open()
        sink.commit(f"s{token}", 0, [one_of_each()[0]])
        sink.close()
    assert len(stored(server, "trades")) == 2


def test_an_old_server_and_tables_of_another_shape(server, tmp_path):
    settings = QuestdbSettings(address=server.address)
    server.versions = [1]
    assert "QuestDB 9.1 or newer is needed" in refused(settings, tmp_path)
    server.versions = [1, 2]
    trades = server.tables[PREFIX + "trades"]
    del trades.columns["conditions"]
    sink = QuestdbSink(tmp_path, settings)
    sink.open()
    sink.close()
    assert trades.columns["conditions"] == "VARCHAR"
    trades.keys = ("timestamp",)
    assert "tapeline_trades does not have DEDUP UPSERT KEYS(timestamp, session_id, n)" in refused(settings, tmp_path)
    trades.columns["price"] = "FLOAT"
    assert "column price of tapeline_trades is FLOAT, not DOUBLE" in refused(settings, tmp_path)


def test_without_the_package_it_says_which_extra(monkeypatch, tmp_path):
    for name in ("tapeline.sinks.questdb", "tapeline.sinks.questdb_http"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "questdb", None)
    with pytest.raises(ConfigError, match=r"pip install 'tapeline\[questdb\]'"):
        make(tmp_path, Settings(sinks=SinkSettings(questdb=True)))


def test_a_recording_and_a_server_that_is_not_there(server, tmp_path):
    words = ["record", "--simulate", "--for", "4s", "--data", str(tmp_path / "data"), "--set", "sinks.questdb=true"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPELINE_")}
    clean["PYTHONPATH"] = str(Path(__file__).parents[2] / "src")

    def record() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tapeline", *words, "--set", f"questdb.address={server.address}"]
        return subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)

    done = record()
    assert done.returncode == 0, done.stderr
    assert len(stored(server, "trades")) > 0
    server.stop()
    done = record()
    server.start()
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert f"setting questdb.address = 'http://{server.address}': " in line
    assert "Connection refused; start it, or set another address" in line

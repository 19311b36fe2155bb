"""`tapeline record --csv`: what is in the file is what was said, and the report counts what is not, message by message."""

import csv
import gzip
import json
import signal
import socket

import pytest

from tapeline.cli import main
from tests.cli.talking import talking
from tests.live.program import Program
from tests.live.spans import bring_at_least

PERP = "binance-usdm:BTC-USDT-PERP"
T = 1_795_132_800_000


def trade(n: int, price: str = "61800.30", size: str = "0.006", kind: str = "MARKET") -> str:
    data = {"e": "trade", "E": T + n, "T": T + n, "s": "BTCUSDT", "t": n, "p": price, "q": size, "X": kind, "m": n % 2 == 0}
    return json.dumps({"stream": "btcusdt@trade", "data": data})


SAID = [
    trade(1),
    trade(2, kind="INSURANCE_FUND"),
    trade(3, price="0", size="0", kind="NA"),  # as the venue says it: no price, no size
    trade(4, size="0"),
    trade(5, price="61800.40"),
    trade(5, price="61800.40"),
    trade(6, kind="ADL"),
    '{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","t":7,"p":"a price"',
    '{"stream":"btcusdt@somethingNew","data":{"e":"somethingNew","s":"BTCUSDT"}}',
    trade(7),
    trade(11, price="0.1", size="123456789.12345"),
]


def rows(path) -> list[dict[str, str]]:
    raw = path.read_bytes()
    text = gzip.decompress(raw).decode() if path.suffix == ".gz" else raw.decode()
    return list(csv.DictReader(text.splitlines(keepends=True)))


def test_ctrl_c_leaves_a_good_file_and_a_true_report(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    with talking(*SAID) as venue:
        own = [*venue.settings("binance-usdm"), "--set", "venues.binance-usdm.streams.trades=trade"]
        with Program("record", PERP, "--live", "--csv", "out.csv", "--report", "out.json", *own, cwd=place) as program:
            assert venue.heard.wait(30), program.said
            code, _ = program.stop(signal.SIGINT)
    assert code == 130, program.said
    assert sorted(p.name for p in place.iterdir()) == ["out.csv", "out.json"]
    assert [(r["id"], r["price"], r["size"], r["side"], r["ts_event"]) for r in rows(place / "out.csv")] == [
        ("1", "61800.3", "0.006", "buy", str((T + 1) * 10**6)),
        ("5", "61800.4", "0.006", "buy", str((T + 5) * 10**6)),
        ("7", "61800.3", "0.006", "buy", str((T + 7) * 10**6)),
        ("11", "0.1", "123456789.12345", "buy", str((T + 11) * 10**6)),
    ]
    made = json.loads((place / "out.json").read_text())
    trades = {
        "seen": 9,
        "kept": 4,
        "recovered": 0,
        "dropped": {"zero_price_or_size": 2, "off_book": 2, "duplicate": 1},
        "off_book_reasons": {"INSURANCE_FUND": 1, "ADL": 1},
        "rejected": 0,
    }
    assert made["trades"] == trades
    assert made["messages"] == {
        "seen": len(SAID) + 1,
        "by_content": {"trade": 9, "control": 1, "malformed": 1, "other": 1},
        "not_used": {"somethingNew": 1},
        "malformed": 1,
    }
    assert made["mode"] == "live"
    (one,) = made["instruments"].values()
    assert list(made["instruments"]) == [PERP]
    assert {key: one[key] for key in trades} == trades
    assert (one["first"], one["last"]) == ("2026-11-20T00:00:00.001000000Z", "2026-11-20T00:00:00.011000000Z")
    assert [(gap["channel"], gap["count"]) for gap in one["gaps"]] == [("trades", 3)]
    for text in (
        "9 seen, 4 kept, 5 dropped: 2 zero price or size, 2 off-book (1 INSURANCE_FUND, 1 ADL), 1 duplicate",
        "12 seen: 9 trade, 1 control, 1 malformed, 1 other",
        "nothing is made of 1 somethingNew",
        "nothing of it is kept",
    ):
        assert text in program.said
    assert program.printed == ""


def record(tmp_path, monkeypatch, *words: str) -> int:
    monkeypatch.chdir(tmp_path)
    return main(["record", "--simulate", *words])


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz"])
def test_several_instruments_in_one_file_and_nothing_beside_it(tmp_path, monkeypatch, capsys, name):
    bring_at_least(monkeypatch, Trade=3)
    words = [PERP, "binance:ETH-USDT", "--for", "0.3", "--csv", name, "--rate", "3"]
    assert record(tmp_path, monkeypatch, *words) == 0
    assert [p.name for p in tmp_path.iterdir()] == [name]
    found = rows(tmp_path / name)
    assert {r["instrument"] for r in found} == {"sim:BTC-USDT-PERP", "sim:ETH-USDT"}
    assert all("SIMULATED" in r["flags"].split("|") for r in found)
    said = capsys.readouterr().err
    assert f"{name}: {len(found)} trades in" in said


def test_with_a_data_directory_everything_is_kept_as_usual(tmp_path, monkeypatch):
    bring_at_least(monkeypatch, Trade=3, BookUpdate=2)
    words = ["binance:ETH-USDT", "--for", "0.3", "--csv", "out.csv", "--data", "d", "--rate", "3"]
    assert record(tmp_path, monkeypatch, *words) == 0
    found = [(r["id"], float(r["price"]), float(r["size"])) for r in rows(tmp_path / "out.csv")]
    from tapeline.engine.replay import replay
    from tapeline.events import BookUpdate, Trade

    events = list(replay(tmp_path / "d"))
    assert found == [(e.id, e.price, e.size) for e in events if isinstance(e, Trade)]
    assert found
    assert any(isinstance(e, BookUpdate) for e in events)
    assert (tmp_path / "d" / "tapeline.sqlite").exists()


def test_keep_and_no_keep_have_the_last_word(tmp_path, monkeypatch):
    bring_at_least(monkeypatch, Trade=1)
    for words, there in ((["--csv", "a.csv", "--keep"], True), (["--summary", "1s", "--no-keep"], False)):
        assert record(tmp_path, monkeypatch, "binance:ETH-USDT", "--for", "0.2", *words) == 0
        assert (tmp_path / "data").exists() is there
        for path in sorted(tmp_path.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()


def test_the_summary_adds_up_to_the_file(tmp_path, monkeypatch, capfd):
    bring_at_least(monkeypatch, Trade=3)
    words = [PERP, "binance:ETH-USDT", "--for", "1.4", "--summary", "0.5s", "--csv", "out.csv", "--rate", "3"]
    assert record(tmp_path, monkeypatch, *words) == 0
    lines = [line.split() for line in capfd.readouterr().out.splitlines()]
    found = rows(tmp_path / "out.csv")
    assert found
    for name in {r["instrument"] for r in found}:
        mine = [dict(zip(words[2::2], words[3::2], strict=True)) for words in lines if words[1] == name]
        its = [r for r in found if r["instrument"] == name]
        spoken = [m for m in mine if m["trades"] != "0"]
        assert len(mine) >= 2
        assert sum(int(m["trades"]) for m in spoken) == len(its)
        assert sum(float(m["volume"]) for m in spoken) == pytest.approx(sum(float(r["size"]) for r in its))
        notional = sum(float(m["volume"]) * float(m["vwap"]) for m in spoken)
        assert notional == pytest.approx(sum(float(r["size"]) * float(r["price"]) for r in its), rel=1e-8)
        bought = sum(float(m["volume"]) * float(m["buy"].rstrip("%")) / 100 for m in spoken)
        assert bought == pytest.approx(sum(float(r["size"]) for r in its if r["side"] == "buy"), rel=0.01, abs=0.01)
        assert max(float(m["high"]) for m in spoken) == max(float(r["price"]) for r in its)
        assert min(float(m["low"]) for m in spoken) == min(float(r["price"]) for r in its)
        assert (float(spoken[0]["first"]), float(spoken[-1]["last"])) == (float(its[0]["price"]), float(its[-1]["price"]))


def test_tickers_are_added_run_by_run_to_each_instruments_own_file(tmp_path, monkeypatch, capsys):
    bring_at_least(monkeypatch, Ticker=1)
    counts = []
    for _ in range(2):
        words = ["binance:BTC-USDT", "binance:ETH-USDT", "--for", "0.3", "--ticker-csv", "tickers"]
        assert record(tmp_path, monkeypatch, *words) == 0
        counts.append(len(rows(tmp_path / "tickers" / "sim_BTC-USDT.csv")))
    assert 0 < counts[0] < counts[1]
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["sim_BTC-USDT.csv", "sim_ETH-USDT.csv"]
    text = (tmp_path / "tickers" / "sim_BTC-USDT.csv").read_text()
    assert text.count("instrument") == 1
    assert all(float(r["last"]) > 0 and float(r["volume"]) >= 0 for r in rows(tmp_path / "tickers" / "sim_BTC-USDT.csv"))
    assert f"sim_BTC-USDT.csv: {counts[1] - counts[0]} ticker" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--csv", "no/such/folder/out.csv"], "--csv no/such/folder/out.csv: cannot be written"),
        (["--report", "out.json"], "--report tells what --csv left out"),
        (["--csv", "-", "--summary", "5s"], "standard output"),
        (["--summary", "often"], "--summary often: write seconds"),
        (["--summary", "0"], "--summary 0: write how often"),
        (["--ticker-csv", "file/x"], "--ticker-csv file/x: cannot be made"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_connected(tmp_path, monkeypatch, capsys, words, text):
    (tmp_path / "file").touch()
    assert record(tmp_path, monkeypatch, "binance:BTC-USDT", *words) == 2
    assert text in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_where_no_venue_answers_no_file_is_left(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    nobody = [
        "--set",
        "venues.binance.http_url=http://127.0.0.1:1",
        "--set",
        "answer_seconds=1",
        "--set",
        "venues.binance.ws_url=ws://127.0.0.1:1",
    ]
    (tmp_path / "out.csv").write_text("an earlier one")
    assert main(["record", "binance:BTC-USDT", "--live", "--csv", "out.csv", *nobody]) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "an earlier one"
    assert "refused" in capsys.readouterr().err


def test_ctrl_c_before_anything_came_in_leaves_no_file(tmp_path):
    with socket.socket() as listener:  # takes connections and says nothing
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        own = ["--set", f"venues.binance.http_url=http://{where}", "--set", "answer_seconds=60"]
        with Program("record", "binance:BTC-USDT", "--csv", "out.csv", *own, cwd=tmp_path) as program:
            listener.accept()[0].close()
            assert program.stop()[0] == 130
    assert "nothing came in: out.csv is not written" in program.said
    assert list(tmp_path.iterdir()) == []


def test_to_standard_output(tmp_path):
    words = ["record", "binance:ETH-USDT", "--simulate", "--for", "3", "--rate", "3", "--csv", "-"]
    with Program(*words, cwd=tmp_path) as program:
        assert program.wait() == 0
    header, *lines = program.printed.splitlines()
    assert header.startswith("time,instrument,price,size,side,id")
    assert f"-: {len(lines)} trades" in program.said
    assert lines
    assert list(tmp_path.iterdir()) == []

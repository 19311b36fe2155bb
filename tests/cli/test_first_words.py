"""What people type before they have read anything, and what they are told."""

import signal

import pytest

from tapeline.cli import main
from tapeline.cli import replay as replay_command
from tapeline.errors import UsageError
from tapeline.frames import Frame, FrameKind, Opened, pack
from tests.live.program import Program
from tests.tape.tapes import SESSION, T0, frames, taped

LATER = "20261121T110500Z-0000"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run btcusdt", "as in binance:BTC-USDT; `tapeline instruments btcusdt`"),
        ("run ETH-BTC", "as in binance:ETH-BTC;"),
        ("record sol/usdt", "as in binance:SOL-USDT;"),
        ("run sim:BTC-USDT", "add --simulate, as in binance:BTC-USDT"),
        ("record sim:BTC-USDT-PERP", "as in binance-usdm:BTC-USDT-PERP"),
        ("run mtgox:BTC-USD", "there is no venue 'mtgox'; there are binance, binance-usdm"),
    ],
)
def test_a_name_that_cannot_be_meant_is_answered_before_anything_starts(tmp_path, monkeypatch, capsys, line, words):
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert words in said
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_name_in_the_settings_is_a_wrong_setting(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tapeline.toml").write_text('instruments = ["mtgox:BTC-USD"]\n')
    assert main(["run"]) == 3
    (said,) = capsys.readouterr().err.splitlines()
    assert "setting instruments = 'mtgox:BTC-USD': there is no venue 'mtgox'" in said
    assert "tapeline.toml" in said


def test_what_the_simulated_market_lacks_is_said_of_the_simulated_market(tmp_path, capsys):
    assert main(["record", "binance:SOL-BTC", "--simulate", "--data", str(tmp_path / "d")]) == 2
    assert "in the simulated market binance lists no SOL-BTC" in capsys.readouterr().err


def test_replay_passes_over_sessions_in_which_nothing_was_opened(tmp_path, capsys):
    opened = Frame(T0, FrameKind.OPENED, 1, pack(Opened(venue="binance", url="ws://127.0.0.1/ws", streams=[])))
    taped(tmp_path, [[opened, *frames(5)]], seal=True)
    failed = Frame(T0 + 1, FrameKind.HTTP, 0, b'{"venue":"binance","status":0,"error":"no answer"}\n')
    taped(tmp_path, [[failed]], seal=True, session=LATER)
    assert replay_command._chosen(tmp_path, "").id == SESSION
    assert f"session {LATER} is empty" in capsys.readouterr().err
    assert replay_command._chosen(tmp_path, LATER).id == LATER


def test_a_tape_of_empty_sessions_has_nothing_to_play(tmp_path):
    taped(tmp_path, [[]], seal=True)
    with pytest.raises(UsageError, match="has anything to play"):
        replay_command._chosen(tmp_path, "")
    with pytest.raises(UsageError, match="there is no recording under"):
        replay_command._chosen(tmp_path / "none", "")


def test_a_recording_played_to_its_end_says_so(tmp_path):
    assert main(["record", "binance:BTC-USDT", "--simulate", "--for", "0.5", "--data", str(tmp_path / "data")]) == 0
    with Program("replay", "data", "--speed", "max", "--port", 0, cwd=tmp_path) as program:
        program.hear(r"frames, at full speed on http://")
        program.hear(r"\d+ frames, \d+ events played: this is the end of the recording")
        assert program.stop(signal.SIGINT)[0] == 130
    assert program.said.count("played") == 1


def test_a_tape_that_holds_together_is_said_to(tmp_path, capsys):
    taped(tmp_path, [frames(7)], seal=True)
    assert main(["tape", "verify", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "holds together: 1 session, 1 segment, 8 frames" in err

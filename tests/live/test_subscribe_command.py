"""`tapeline run` in a process of its own, asked and changed by `subscriptions`, `subscribe` and `unsubscribe`; and its restarts."""

import json
import signal
import socket
from pathlib import Path

import pytest

from tapeline.cli import main
from tapeline.engine.replay import replay
from tapeline.engine.subscriptions import load
from tapeline.events import Trade
from tapeline.sim import SimServer
from tests.live.program import Program
from tests.waiting import wait_becomes, wait_until

BTC, ETH, SOL = "binance:BTC-USDT", "binance:ETH-USDT", "binance:SOL-USDT"


def started(folder: Path, *arguments: object) -> Program:
    return Program("run", *arguments, "--simulate", "--no-browser", "--port", 0, "--rate", 3, cwd=folder)


def port_of(program: Program) -> str:
    port = program.hear(r"page and API at http://127\.0\.0\.1:(\d+)")[1]
    program.hear("SIMULATED")
    return port


def until_streamed(capsys: pytest.CaptureFixture[str], port: str, *names: str) -> None:
    def streamed() -> list[str]:
        assert main(["subscriptions", "--json", "--port", port]) == 0
        return [row["name"] for row in json.loads(capsys.readouterr().out)]

    wait_becomes(streamed, list(names))


def until_kept(folder: Path, wanted: dict[str, tuple[str, ...]]) -> None:
    wait_becomes(lambda: kept(folder), wanted)


def traded(folder: Path) -> set[str]:
    """Instruments of which the tape has a trade."""
    return {e.instrument for e in replay(folder / "data") if type(e) is Trade}


def kept(folder: Path) -> dict[str, tuple[str, ...]]:
    found = load(folder / "data")
    return {} if found is None else dict(found.subscriptions)


def test_the_set_is_changed_while_it_runs_and_taken_up_after_any_end(tmp_path, capsys):
    with started(tmp_path, BTC, "--channels", "trades,book") as program:
        port = port_of(program)
        assert "streaming 1 instrument named here, a new set" in program.said
        until_streamed(capsys, port, BTC)
        assert main(["subscribe", ETH, SOL, "--channels", "trades", "--port", port]) == 0
        printed = capsys.readouterr().out.splitlines()
        assert [line.split() for line in printed] == [
            [BTC, "sim:BTC-USDT", "trades,", "book"],
            [ETH, "sim:ETH-USDT", "trades"],
            [SOL, "sim:SOL-USDT", "trades"],
        ]
        assert main(["unsubscribe", "sim:SOL-USDT", "--port", port]) == 0
        assert main(["unsubscribe", BTC, "--channels", "book", "--port", port, "--json"]) == 0
        capsys.readouterr()
        assert kept(tmp_path) == {BTC: ("trades",), ETH: ("trades",)}
        wait_until(lambda: {"sim:BTC-USDT", "sim:ETH-USDT"} <= traded(tmp_path))
        program.process.send_signal(signal.SIGKILL)
        program.process.wait()
    assert {"sim:BTC-USDT", "sim:ETH-USDT"} <= traded(tmp_path)

    with started(tmp_path) as program:
        port = port_of(program)
        assert "streaming 2 instruments of data/subscriptions.json, as the last session left them" in program.said
        until_streamed(capsys, port, BTC, ETH)
        assert program.stop(signal.SIGTERM)[0] == 130
    assert kept(tmp_path) == {BTC: ("trades",), ETH: ("trades",)}

    with started(tmp_path, "--channels", "quotes") as program:
        until_streamed(capsys, port_of(program), BTC, ETH)
        until_kept(tmp_path, {BTC: ("quotes",), ETH: ("quotes",)})

    with started(tmp_path, SOL) as program:
        until_streamed(capsys, port_of(program), SOL)
        assert "1 instrument named here, a new set" in program.said
        until_kept(tmp_path, {SOL: ("trades", "book", "quotes", "ticker", "liquidations")})

    (tmp_path / "tapeline.toml").write_text(f'instruments = ["{ETH}"]\n')
    with started(tmp_path) as program:
        until_streamed(capsys, port_of(program), ETH)
        assert "other instruments or channels" in program.said
        assert "1 instrument of the settings (tapeline.toml" in program.said
        until_kept(tmp_path, {ETH: ("trades", "book", "quotes", "ticker", "liquidations")})


def test_partial_failures_and_their_exit_codes(tmp_path, capsys):
    with started(tmp_path, BTC, "--channels", "trades") as program:
        port = port_of(program)
        until_streamed(capsys, port, BTC)
        assert main(["subscribe", "binance:ETH-USTD", ETH, "--port", port]) == 2
        out, err = capsys.readouterr()
        assert ETH in out
        assert "binance:ETH-USTD: binance lists no ETH-USTD: did you mean binance:ETH-USDT" in err
        assert main(["subscribe", "binance:XBT-USTD", "--port", port]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "did you mean" in err
        assert main(["unsubscribe", "binance:DOGE-USDT", "--port", port]) == 2
        assert "is not subscribed" in capsys.readouterr().err
        assert main(["subscribe", BTC, "--channels", "tardes", "--port", port]) == 2
        assert "tardes" in capsys.readouterr().err
        assert main(["unsubscribe", BTC, ETH, "--port", port]) == 0
        assert "nothing is streamed" in capsys.readouterr().err
        assert main(["subscribe", ETH, "--port", port]) == 0
    assert list(kept(tmp_path)) == [ETH]
    assert "Traceback" not in program.said


def test_a_venue_is_added_to_the_simulated_market(tmp_path, capsys):
    with started(tmp_path, BTC, "--channels", "trades,book") as program:
        port = port_of(program)
        until_streamed(capsys, port, BTC)
        assert main(["subscribe", "kraken:BTC-USD", "--port", port]) == 0
        assert "sim-kraken:BTC-USD" in capsys.readouterr().out
        wait_until(lambda: {"sim:BTC-USDT", "sim-kraken:BTC-USD"} <= traded(tmp_path))
        assert program.stop()[0] == 130
    assert {e.instrument.partition(":")[0] for e in replay(tmp_path / "data")} == {"", "sim", "sim-kraken"}


def test_where_nobody_runs_it_says_so(tmp_path, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        for line in (["subscriptions"], ["subscribe", ETH], ["unsubscribe", ETH]):
            assert main([*line, "--port", port]) == 4
            said = capsys.readouterr().err
            assert f"no Tapeline answers at 127.0.0.1:{port}" in said
            assert "start `tapeline run`" in said
    assert main(["subscribe"]) == 2
    assert "name an instrument" in capsys.readouterr().err


def test_another_program_at_the_port_is_not_taken_for_one(tmp_path, capsys):
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    assert main(["subscriptions", "--port", str(server.server_port)]) == 4
    thread.join()
    server.server_close()
    assert "is no Tapeline" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", '{"subscriptions": {"binance:BTC-USDT": ["tardes"]}}'])
def test_a_kept_set_that_cannot_be_read_is_left_aside(tmp_path, capsys, text):
    data = tmp_path / "data"
    data.mkdir()
    (data / "subscriptions.json").write_text(text)
    assert main(["record", "--simulate", "--data", str(data), "--for", "0.5", "--channels", "trades"]) == 0
    assert "cannot be read" in capsys.readouterr().err
    assert (data / "subscriptions.json.unreadable").read_text() == text
    assert len(kept(tmp_path)) == 4


def test_of_a_kept_set_what_is_no_more_is_left_out_and_kept_where_only_the_simulator_lacks_it(tmp_path, capsys):
    data = tmp_path / "data"
    assert main(["record", BTC, "--simulate", "--data", str(data), "--for", "0.3", "--channels", "trades"]) == 0
    file = data / "subscriptions.json"
    tree = json.loads(file.read_text())
    tree["subscriptions"] |= {"binance:GONE-USDT": ["trades"], "mtgox:BTC-USD": ["trades"]}
    file.write_text(json.dumps(tree))
    capsys.readouterr()
    assert main(["record", "--simulate", "--data", str(data), "--for", "0.5"]) == 0
    said = capsys.readouterr().err
    assert "recording 2 instruments of" in said
    assert "no venue 'mtgox'" in said
    assert "lists no GONE-USDT" in said
    assert kept(tmp_path) == {BTC: ("trades",), "binance:GONE-USDT": ("trades",)}


def test_a_kept_set_starts_without_the_venue_whose_key_is_gone_and_keeps_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINNHUB_API_KEY", raising=False)
    monkeypatch.delenv("TAPELINE_FINNHUB_KEY", raising=False)
    data = tmp_path / "data"
    both = {BTC: ("trades",), "finnhub:AAPL": ("trades",)}
    assert main(["record", *both, "--simulate", "--data", str(data), "--for", "0.3", "--channels", "trades"]) == 0
    with SimServer.in_thread(venues=("binance",)) as sim:
        there = ["--set", f"venues.binance.http_url={sim.http_url('binance')}"]
        there += ["--set", f"venues.binance.ws_url={sim.ws_url('binance')}"]
        capsys.readouterr()
        assert main(["record", "--live", "--data", str(data), "--for", "0.5", *there]) == 0
    said = capsys.readouterr().err
    assert "setting FINNHUB_API_KEY is not set" in said
    assert "left out" in said
    assert kept(tmp_path) == both


def test_a_failed_start_leaves_no_session_behind(tmp_path, capsys):
    nowhere = ["--set", "venues.binance.http_url=http://127.0.0.1:1", "--set", "answer_seconds=1"]
    assert main(["record", BTC, "--live", "--data", str(tmp_path / "d"), *nowhere]) == 4
    assert list((tmp_path / "d" / "tape").iterdir()) == []
    assert not (tmp_path / "d" / "subscriptions.json").exists()

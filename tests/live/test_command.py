"""`tapeline run` and `record` as a newcomer meets them: the fallback, what it says, how it ends, and that `sim` is said everywhere."""

import http.server
import json
import signal
import socket
import sqlite3
import threading
import time

import httpx
import pytest
from websockets.sync.client import connect as ws_connect

from tapeline.cli import main
from tapeline.engine.replay import replay
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.sim.web import Doors
from tests.live.program import SOON, Program
from tests.live.rig import BTC, running
from tests.live.spans import bring_at_least
from tests.waiting import until, wait_until


@pytest.fixture
def answering():
    """A venue that answers everything with one status."""

    class Answer(http.server.BaseHTTPRequestHandler):
        status = 451

        def do_GET(self):
            self.send_response(self.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def says(self, status):
            Answer.status = status
            return f"127.0.0.1:{self.server_port}"

    server = Server(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def hanging():
    """A venue that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def addresses(where, *, ws=True):
    both = [("http_url", "http")] + ([("ws_url", "ws")] if ws else [])
    return [a for key, scheme in both for a in ("--set", f"venues.binance.{key}={scheme}://{where}")]


def only_line(said):
    (line,) = [line for line in said.splitlines() if line.strip()]
    return line


REFUSALS = [
    (451, "not served in this country (HTTP 451)"),
    (403, "refused (HTTP 403)"),
    (418, "banned for a while (HTTP 418)"),
    (429, "too many requests (HTTP 429)"),
]


@pytest.mark.parametrize(("status", "text"), REFUSALS)
def test_live_says_in_one_line_why_a_venue_refuses(tmp_path, capsys, answering, status, text):
    where = addresses(answering.says(status))
    assert main(["record", BTC, "--live", "--data", str(tmp_path / "d"), *where]) == 4
    line = only_line(capsys.readouterr().err)
    assert line.startswith("tapeline: binance")
    assert text in line


def test_live_says_in_one_line_that_nobody_answers(tmp_path, capsys, hanging):
    data = ["--data", str(tmp_path / "d")]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused
        refused = f"127.0.0.1:{taken.getsockname()[1]}"
        for where, seconds, text in (
            (refused, 5, "refused"),
            ("venue.invalid", 1.5, "resolve"),
            (hanging, 1.5, "no answer within"),
        ):
            quick = ["--set", f"answer_seconds={seconds}"]
            assert main(["record", BTC, "--live", *data, *quick, *addresses(where)]) == 4
            line = only_line(capsys.readouterr().err)
            assert line.startswith("tapeline: binance")
            assert text in line or (where == "venue.invalid" and "venue.invalid" in line)
            assert main(["record", BTC, "--live", *data, *quick, *addresses(where, ws=False)]) == 4
            assert only_line(capsys.readouterr().err).startswith("tapeline: binance")


def test_without_a_venue_it_goes_on_simulated_and_says_so_in_one_line(tmp_path, capsys, answering, monkeypatch):
    bring_at_least(monkeypatch, Trade=1)
    where = addresses(answering.says(451), ws=False)
    assert main(["record", BTC, "--data", str(tmp_path / "d"), "--for", "0.2", *where]) == 0
    why, *_ = capsys.readouterr().err.splitlines()
    assert "451" in why
    assert "SIMULATED" in why
    events = list(replay(tmp_path / "d"))
    assert {e.instrument.partition(":")[0] for e in events} <= {"", "sim"}
    assert any(e.instrument == "sim:BTC-USDT" for e in events)


def test_an_unknown_instrument_names_the_nearest(tmp_path, capsys):
    assert main(["record", "binance:BTC-USTD", "--simulate", "--data", str(tmp_path / "d")]) == 2
    said = capsys.readouterr().err
    assert "lists no BTC-USTD" in said
    assert said.count("-USDT") == 3


def test_a_port_that_is_taken_is_named(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["run", "--simulate", "--no-browser", "--port", port, "--data", str(tmp_path / "d")]) == 3
    assert "server.port" in capsys.readouterr().err


def ask(address, path):
    return httpx.get(f"{address}/api/v1/{path}", trust_env=False, timeout=20).text


def without_protocol(status):
    tree = json.loads(status)
    for row in tree["connections"] + tree["venues"]:
        assert row.pop("protocol").startswith("binance")
    return json.dumps(tree)


def test_simulated_is_said_everywhere_and_ctrl_c_ends_it_with_a_summary(tmp_path):
    data = tmp_path / "data"
    fast = ["--set", "sinks.commit_seconds=0.2", "--set", "sinks.lake_seconds=0.3", "--rate", "3"]
    with Program("run", "--simulate", "--port", 0, "--no-browser", *fast, cwd=tmp_path) as program:
        address = program.hear(r"page and API at (http://\S+)")[1]
        program.hear("SIMULATED")
        wait_until(lambda: json.loads(ask(address, "trades?instrument=sim:BTC-USDT")).get("trades"))
        with ws_connect(address.replace("http", "ws") + "/api/v1/ws", proxy=None) as viewer:
            subscribe = {"method": "subscribe", "params": {"channel": "trades", "instruments": ["sim:BTC-USDT"]}}
            viewer.send(json.dumps(subscribe))
            heard = [viewer.recv(timeout=20) for _ in range(4)]
            for path in ("instruments", "trades?instrument=sim:BTC-USDT", "quotes", "book?instrument=sim:BTC-USDT", "metrics",
                         "bars?instrument=sim:BTC-USDT&interval=1s", "instruments?listed=true"):  # fmt: skip
                answer = ask(address, path)
                assert '"simulated"' in answer, path
                assert "binance" not in answer, path
            assert "binance" not in without_protocol(ask(address, "status"))
            assert not any("binance" in str(text) for text in heard)
            code, seconds = program.stop()
    print(f"\nCtrl-C with a viewer: {seconds:.2f} s")  # noqa: T201
    assert code == 130
    assert seconds < SOON
    summary = program.said.splitlines()[-1]
    assert "simulated data of session" in summary
    assert all(word in summary for word in ("frames", "events", "gaps", "data"))
    assert "Traceback" not in program.said

    assert not [p for p in data.rglob("*") if "binance" in str(p.relative_to(data))]
    events = list(replay(data))
    assert {e.instrument.partition(":")[0] for e in events} <= {"", "sim"}
    assert all(e.flags & 128 for e in events)
    assert {getattr(e, "venue", "sim") for e in events} == {"sim"}
    db = sqlite3.connect(data / "tapeline.sqlite")
    try:
        for (table,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('positions')"
        ).fetchall():
            for row in db.execute(f"SELECT * FROM {table}"):
                text = str(row)
                assert "binance" not in text, row
    finally:
        db.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_still_connecting_ends_it_at_once(tmp_path, hanging, number):
    where = [*addresses(hanging), "--set", "answer_seconds=60"]
    with Program("record", BTC, *where, cwd=tmp_path, env={"TAPELINE_LOG": "json"}) as program:
        wait_until(lambda: list(tmp_path.glob("data/tape/*/*")))
        time.sleep(0.3)
        code, seconds = program.stop(number)
    assert seconds < SOON
    assert code == 130
    assert "0 events" in program.said
    assert "Traceback" not in program.said


def test_a_second_ctrl_c_is_harmless(tmp_path):
    with Program("record", "--simulate", "--rate", 5, cwd=tmp_path) as program:
        program.hear("SIMULATED")
        time.sleep(1.0)
        program.process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        program.process.send_signal(signal.SIGINT)
        assert program.wait() == 130
    assert "Traceback" not in program.said
    assert "frames" in program.said


async def test_an_address_that_is_no_simulator_is_the_venue_itself_even_without_a_list(tmp_path, monkeypatch):
    """A mirror or a proxy: without the simulator's header its data is the venue's, and names are derived where it lists none."""

    async def unlabelled(_, response):
        response.headers["Server"] = "mirror"

    monkeypatch.setattr(Doors, "_label", staticmethod(unlabelled))
    faults = [f.HttpFail(path="*exchangeInfo*", status=404, times=0)]
    async with SimServer(seed=2, faults=faults) as mirror, running(mirror, tmp_path) as run:
        await until(lambda: {e.instrument for e in run.events} >= {BTC, "binance-usdm:BTC-USDT-PERP"})
        await until(lambda: run.state(BTC) == "synced")
        assert run.collector.mode == "live"
        assert not any(e.flags & 128 for e in run.events)
        assert not any("sim" in e.instrument for e in run.events)


async def test_a_simulator_behind_an_overridden_address_is_labelled_whatever_its_list_says(tmp_path):
    faults = [f.HttpFail(path="*exchangeInfo*", status=404, times=0)]
    async with SimServer(seed=2, faults=faults) as sim, running(sim, tmp_path) as run:
        await run.synced()
        assert run.collector.mode == "simulated"
        assert all(e.flags & 128 for e in run.events)
        assert {e.instrument.partition(":")[0] for e in run.events} <= {"", "sim"}


def test_environment_overrides_reach_a_simulator(tmp_path):
    with SimServer.in_thread(seed=4) as sim:
        env = {
            "TAPELINE_VENUES_BINANCE_WS_URL": sim.ws_url("binance"),
            "TAPELINE_VENUES_BINANCE_HTTP_URL": sim.http_url("binance"),
        }
        with Program("record", BTC, "--live", "--for", "3", cwd=tmp_path, env=env) as program:
            assert program.wait() == 0
        assert "simulated data of session" in program.said
    events = list(replay(tmp_path / "data"))
    assert events
    assert all(e.flags & 128 for e in events)

"""`tapeline simulate` as a user meets it: a process, two ports of call, Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tapeline.cli import main

ROOT = Path(__file__).parents[2]


def test_it_serves_until_interrupted(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TAPELINE_")} | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "tapeline", "simulate", "BTCUSDT", "--port", "0", "--fault", "drop:times=2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment) as process:
        said = []
        while "Ctrl-C" not in (line := process.stderr.readline()):
            assert line, said
            said.append(line)
        address = re.search(r"http://127\.0\.0\.1:\d+", "".join(said))[0]
        with urllib.request.urlopen(f"{address}/api/v3/depth?symbol=BTCUSDT&limit=5") as answer:
            assert answer.headers["X-Tapeline-Simulated"] == "1"
            assert len(json.load(answer)["bids"]) == 5
        with urllib.request.urlopen(f"{address}/_sim/faults") as answer:
            assert json.load(answer)[0]["times"] == 2
        assert any("tapeline run --set venues.binance.ws_url=ws://" in line for line in said)
        process.send_signal(signal.SIGINT)
        assert "messages sent" in process.stderr.read()
        assert process.wait(timeout=60) == 130


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--fault", "drp"], "no fault"),
        (["--venues", "nasdaq"], "no simulator"),
        (["NOPEUSDT"], "not simulated"),
        (["--rate", "0"], "more than 0"),
        (["--rate", "nan"], "more than 0"),
        (["--port", "99999"], "from 0 to 65535"),
        (["--tape", "nowhere"], "neither a directory"),
        (["--tape", "nowhere", "--speed", "fast"], "a number, or max"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(arguments, why, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *arguments, *(() if "--port" in arguments else ("--port", "0"))]) == 2
    assert why in capsys.readouterr().err

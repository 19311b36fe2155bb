"""`tapeline top` as a person starts it: in a terminal, without Textual, with words that make no sense."""

import asyncio
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

import pytest

from tapeline.cli import main
from tapeline.terminal.app import Top

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0


def test_without_textual_one_line_says_how(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "textual" or n == "tapeline.terminal.app"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.setitem(sys.modules, "textual.app", None)
    assert main(["top"]) == 3
    said = capsys.readouterr().err
    assert "`tapeline top` needs textual, which is not installed: pip install 'tapeline[top]'" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(("failed", "code"), [(None, 0), (1, 1)])
def test_the_picture_has_asyncios_own_loop_and_its_failure_is_ours(
    monkeypatch: pytest.MonkeyPatch, failed: int | None, code: int
) -> None:
    """uvloop's passes `eager_start` to the factory of eager tasks that Textual sets, which early Pythons 3.13 do not take."""
    loops: list[object] = []

    async def run(picture: Top, **_: object) -> None:
        loops.append(type(asyncio.get_running_loop()))
        picture._return_code = failed

    monkeypatch.setattr(Top, "run_async", run)
    assert main(["top", "--address", "http://localhost:1"]) == code
    (loop,) = loops
    assert issubclass(loop, asyncio.BaseEventLoop)


@pytest.mark.parametrize(
    "line", [["--address", "localhost"], ["--data", "x"], ["binance:BTC-USDT", "--address", "http://localhost:1"]]
)
def test_words_that_make_no_sense(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", *line]) == 2
    assert capsys.readouterr().err.startswith("tapeline: ")


def test_one_that_does_not_start_says_why(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["top", "nowhere:BTC-USDT", "--data", str(tmp_path)]) != 0
    assert "did not start" in capsys.readouterr().err


def test_in_a_real_terminal_with_a_market_of_its_own(tmp_path: Path) -> None:
    """Started with a simulated market, left with `q`: the terminal is as it was, and what was started has ended."""
    parent, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 130, 0, 0))
    env = {k: v for k, v in os.environ.items() if not k.startswith("TAPELINE_")}
    words = ["top", "binance:BTC-USDT", "--simulate", "--data", str(tmp_path / "d"), "--set", "alerts.on=false"]
    top = subprocess.Popen(
        [sys.executable, "-m", "tapeline", *words],
        stdin=child, stdout=child, stderr=child, cwd=tmp_path, env={**env, "PYTHONPATH": str(ROOT / "src"), "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(child)
    try:
        seen = read_until(parent, top, r"SIMULATED")
        seen += read_until(parent, top, r"[▲▼]\s*[\d,]+\.\d\d")
        os.write(parent, b"q")
        seen += read_until(parent, top, r"\x1b\[\?1049l")  # the other screen is left
        assert top.wait(30) == 0
    finally:
        top.kill()
        top.wait()
        os.close(parent)
    assert not list((tmp_path / "d").rglob("*.unsealed"))


def read_until(terminal: int, top: "subprocess.Popen[bytes]", pattern: str) -> str:
    seen, deadline = "", time.monotonic() + PATIENCE
    while not re.search(pattern, seen):
        assert time.monotonic() < deadline, seen[-2000:]
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace")
        else:
            assert top.poll() is None, seen[-2000:]
    return seen

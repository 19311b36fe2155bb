"""The launcher as a user meets it: a real process, its two streams and its exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tapeline import cli
from tapeline.cli import app, context
from tapeline.errors import ConfigError, TapeError, TapelineError, Unreachable, UsageError

SRC = Path(app.__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPELINE_")}
        clean |= {"PYTHONPATH": str(SRC), **env}
        command = [sys.executable, "-m", "tapeline", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)

    return run


def test_help_names_every_command_and_loads_none(run):
    code = "import sys\nfrom tapeline.cli import main\nmain(['--help'])\nprint(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=True
    )
    for name in app.COMMANDS:
        assert f" {name} " in done.stdout
    loaded = set(done.stderr.split())
    assert "tapeline.cli" in loaded
    heavy = {"pyarrow", "duckdb", "aiohttp", "picows", "starlette", "structlog", "uvloop", "asyncio"}
    assert not loaded & heavy
    assert not {m for m in loaded if m.startswith("tapeline.cli.") and m.split(".")[2] in app.COMMANDS}


def test_version_goes_to_standard_output(run):
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()[0].isdigit()


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("confg", 2, "no command 'confg'; did you mean config?"),
        ("config --jsn", 2, "--jsn"),
        ("config --set server.port", 2, "KEY=VALUE"),
        ("config --set server.port=many", 3, "a whole number from 0 to 65535"),
        ("--config none.toml config", 3, "no such file"),
    ],
)
def test_a_wrong_line_is_one_message_on_standard_error(run, line, code, words):
    done = run(*line.split())
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("tapeline: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TapelineError("it broke"), 1),
        (UsageError("no such thing"), 2),
        (ConfigError("server.port", 1, "taken"), 3),
        (Unreachable("no answer"), 4),
        (TapeError("torn"), 5),
        (FileNotFoundError(2, "No such file", "x.gz"), 1),
        (KeyboardInterrupt(), 130),
        (BaseExceptionGroup("tasks", [ExceptionGroup("inner", [Unreachable("no answer")])]), 4),
    ],
)
def test_each_fault_has_its_exit_code(monkeypatch, capsys, error, code):
    def fail(_argv):
        raise error

    monkeypatch.setattr(app, "launch", fail)
    assert cli.main([]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tapeline: ")
    assert "Traceback" not in err


def test_a_bug_shows_its_trace(monkeypatch):
    def fail(_argv):
        raise ZeroDivisionError

    monkeypatch.setattr(app, "launch", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main([])


def test_a_message_never_shows_a_secret(monkeypatch, capsys):
    def fail(_argv):
        raise Unreachable("wss://x?token=c0ffee123 does not answer")

    monkeypatch.setattr(app, "launch", fail)
    assert cli.main([]) == 4
    assert "c0ffee" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_failure(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(SRC)}
    code = "import sys; from tapeline.cli import app, main\n"
    code += "def flood(_):\n while True: sys.stdout.write('x' * 4096)\n"
    code += "app.launch = flood\nsys.exit(main([]))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


def test_with_nothing_between_us_and_the_system_the_streams_have_both_their_names():
    """Terminal pictures are drawn on `sys.__stderr__`."""
    code = "import sys; from tapeline.cli import streams; streams.write_whole()\n"
    code += "for name in ('stdout', '__stdout__', 'stderr', '__stderr__'): print(name, file=getattr(sys, name))"
    env = {**os.environ, "PYTHONPATH": str(SRC), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert (done.stdout, done.stderr) == ("stdout\n__stdout__\n", "stderr\n__stderr__\n")


def test_a_coroutine_runs_under_uvloop_and_its_number_is_the_exit_code(monkeypatch):
    seen = []

    async def probe(word: str) -> int:
        import asyncio

        seen.append((word, type(asyncio.get_running_loop()).__module__))
        return 5

    monkeypatch.setattr(sys.modules[__name__], "probe", probe, raising=False)
    monkeypatch.setitem(app.COMMANDS, "probe", (f"{__name__}:probe", "A probe."))
    monkeypatch.setattr("tapeline.cli.logs.configure", lambda **_: None)
    assert cli.main(["probe", "hello", "--set", "server.port=1"]) == 5
    assert seen == [("hello", "uvloop")]
    assert context.assignments == {"server.port": "1"}


def test_ctrl_c_exits_130_without_a_trace(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(SRC)}
    trade = '{{"e":"trade","E":{0},"s":"BTCUSDT","t":{0},"p":"1","q":"1","T":{0},"m":true,"M":true}}\n'
    trades = "".join(trade.format(n) for n in range(1, 6000)).encode()
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        command = [sys.executable, "-m", "tapeline", "decode", "binance", "--events", "trade"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, env=env, cwd=tmp_path)
        process.stdin.write(trades)
        process.stdin.flush()
        while not (tmp_path / "out").stat().st_size and process.poll() is None:  # until it is at work, and waits for more
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        process.stdin.close()
    assert (tmp_path / "err").read_text() == "tapeline: interrupted\n"


@pytest.mark.parametrize("busy", [True, False])
def test_the_end_waits_for_no_thread_and_takes_nothing_down_under_one(busy: bool) -> None:
    """Python crashes where a thread is inside a library while the interpreter is taken down; seen as exit code -6."""
    code = (
        "import atexit, threading, time\n"
        "from tapeline.cli import leave\n"
        "atexit.register(print, 'taken down')\n"
        f"threading.Thread(target=time.sleep, args=({60 if busy else 0},), daemon=True).start()\n"
        "[t.join() for t in threading.enumerate() if t.daemon and not " + str(busy) + "]\n"
        "print('said before')\n"
        "leave(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.split("\n")[:-1] == ["said before"] + ([] if busy else ["taken down"])


def test_settings_may_stand_behind_a_command_whose_first_word_is_free(tmp_path, capfd, monkeypatch):
    """`query` and `import` take words that begin with a hyphen; an option of every command is not one of them."""
    monkeypatch.setattr(context, "assignments", {})
    for words in (["query", "--set", "data=nowhere", "select 1"], ["query", "select 1", "--set=data=nowhere"]):
        assert cli.main(words) == 2
        assert "/nowhere: record with the sink `lake` on" in capfd.readouterr().err
    assert cli.main(["import", str(tmp_path / "none.csv"), "--kind", "trades", "--set", "tape.segment_mb=no"]) == 3
    assert "setting tape.segment_mb = 'no'" in capfd.readouterr().err

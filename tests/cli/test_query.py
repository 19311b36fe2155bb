"""`tapeline query` as it is met on a line: what goes where, in which form, and how it ends."""

import csv
import io
import json
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tapeline.cli import main
from tapeline.cli.grid import grid
from tapeline.events import Trade
from tapeline.sinks.lake import LakeSink
from tests.sinks.helpers import BTC, frames

ROOT = Path(__file__).parents[2]
EVENTS = [e for events in frames(300) for e in events]
TRADES = [e for e in EVENTS if type(e) is Trade]
COUNTS = Counter(e.instrument for e in TRADES)
BY_INSTRUMENT = "select instrument, count(*) c from trades group by 1 order by 1"
ENDLESS = "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = 7"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("asked")
    sink = LakeSink(data)
    sink.open()
    sink.commit("s", 299, EVENTS)
    sink.close()
    return data


@pytest.fixture
def ask(data, capsysbinary):
    def ask(*arguments: str) -> tuple[int, bytes, str]:
        code = main(["query", *arguments, "--data", str(data)])
        told = capsysbinary.readouterr()
        return code, told.out, told.err.decode()

    return ask


def test_csv_where_a_program_reads(ask):
    code, out, err = ask(BY_INSTRUMENT)
    assert code == 0
    assert list(csv.reader(io.StringIO(out.decode()))) == [
        ["instrument", "c"],
        *([n, str(c)] for n, c in sorted(COUNTS.items())),
    ]
    assert err.startswith("tapeline: 2 rows in ")


def test_every_form(ask):
    wanted = [{"instrument": n, "c": c} for n, c in sorted(COUNTS.items())]
    assert json.loads(ask(BY_INSTRUMENT, "--format", "json")[1]) == wanted
    assert [json.loads(line) for line in ask(BY_INSTRUMENT, "--format", "jsonl")[1].splitlines()] == wanted
    assert pa.ipc.open_stream(ask(BY_INSTRUMENT, "--format", "arrow")[1]).read_all().to_pylist() == wanted
    assert pq.read_table(io.BytesIO(ask(BY_INSTRUMENT, "--format", "parquet")[1])).to_pylist() == wanted
    table = ask(BY_INSTRUMENT, "--format", "table")[1].decode().splitlines()
    assert table[0].split() == ["instrument", "c"]
    assert [line.split() for line in table[1:]] == [[n, str(c)] for n, c in sorted(COUNTS.items())]


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "arrow", "parquet"])
def test_a_file_says_its_form_by_its_name(ask, tmp_path, form):
    file = tmp_path / f"answer.{form}"
    code, out, _ = ask(BY_INSTRUMENT, "--output", str(file))
    assert (code, out) == (0, b"")
    assert file.read_bytes() == ask(BY_INSTRUMENT, "--format", form)[1]
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_written(ask, tmp_path):
    code, _, err = ask("select 1", "--output", str(tmp_path / "no" / "such.csv"))
    assert code == 3
    assert "output" in err


def test_the_question_from_standard_input(ask, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("select 7 as a"))
    assert ask("-")[1] == b"a\n7\n"


def test_a_table_is_cut_and_says_so(ask):
    _, out, err = ask("from range(1000)", "--format", "table")
    assert len(out.splitlines()) == 101
    assert "100 rows" in err
    assert "--limit 0" in err
    assert len(ask("from range(1000)", "--format", "table", "--limit", "0")[1].splitlines()) == 1001
    assert len(ask("from range(1000)")[1].splitlines()) == 1001
    assert len(ask("from range(1000)", "--limit", "3")[1].splitlines()) == 4


def test_the_views_are_listed(ask):
    code, out, _ = ask("--tables")
    assert code == 0
    rows = {line.split()[0]: line.split() for line in out.decode().splitlines()[1:]}
    assert rows["trades"][1] == f"{len(TRADES):,}"
    assert {"bars", "bar_revisions", "book_updates", "status", "alerts"} <= set(rows)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["select pric from trades"], 2, "LINE 1: select pric from trades\n               ^"),
        (["copy trades to 'x.csv'"], 2, "COPY is not for here"),
        ([""], 2, "--tables lists the views"),
        (["select 1", "--limit", "-1"], 2, "--limit -1"),
        (["select 1", "--timeout", "soon"], 2, "--timeout soon"),
        (["select 1", "--format", "xml"], 2, "xml"),
        ([ENDLESS, "--timeout", "0.2s"], 1, "longer than 0.2 s"),
        (["select array_agg(range) from range(30000000)", "--memory", "60"], 2, "60 MB"),
    ],
)
def test_what_goes_wrong_is_said_with_its_code(ask, arguments, code, said):
    got, out, err = ask(*arguments)
    assert (got, out) == (code, b"")
    assert said in err


def test_no_lake(tmp_path, capsys):
    assert main(["query", "select 1", "--data", str(tmp_path)]) == 2
    assert "there is no lake" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to an address space")
@pytest.mark.parametrize("sql", ["select length(repeat('x', 3000000000))", "select repeat('x', 1000000000) from trades"])
def test_what_duckdb_does_not_count_is_bounded_too(ask, sql):
    before = resource.getrlimit(resource.RLIMIT_AS), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, _, err = ask(sql, "--memory", "200")
    assert code == 2
    assert "more memory than its 200 MB" in err
    assert resource.getrlimit(resource.RLIMIT_AS) == before[0]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before[1] < 600 * 1024  # KB


def test_little_memory_is_enough_for_little(ask):
    assert ask(BY_INSTRUMENT, "--memory", "60")[0] == 0


class Terminal:
    """The command with a terminal as its standard output and error."""

    def __init__(self, *arguments: str, columns: int = 100) -> None:
        self.master, slave = pty.openpty()
        env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": str(columns), "TERM": "xterm-256color"}
        command = [sys.executable, "-m", "tapeline", "query", *arguments]
        self.process = subprocess.Popen(command, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)

    def read(self, until: str = "") -> str:
        """What is shown up to `until`, else up to its end."""
        shown, deadline = b"", time.monotonic() + 60
        while time.monotonic() < deadline and not (until and until.encode() in shown):
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    shown += os.read(self.master, 65536)
                except OSError:  # it is gone, and so is its terminal
                    break
            elif self.process.poll() is not None:
                break
        return shown.decode()

    def close(self) -> int:
        self.process.kill()
        code = self.process.wait()
        os.close(self.master)
        return code


def test_a_table_on_a_terminal(data):
    terminal = Terminal("select * from trades order by n", "--data", str(data))
    shown = terminal.read().replace("\r", "")
    terminal.close()
    assert "instrument" in shown
    assert BTC in shown
    assert "no room for " in shown  # columns that had no room
    assert "100 rows in" in shown


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("instrument = 'sim:BTC-USDT'", f"nothing of sim:BTC-USDT: did you mean {BTC}?"),
        ("instrument in ('binance:BTCUSDT')", f"nothing of binance:BTCUSDT: did you mean {BTC}?"),
        ("instrument = 'BTCUSDT'", "'BTCUSDT' is no instrument"),
        (f"instrument = '{BTC}' and time > '2026-11-21T10:00'", ""),
    ],
)
def test_an_instrument_that_is_not_there_is_told(data, capsys, where, told):
    assert main(["query", f"select count(*) from trades where {where}", "--data", str(data)]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("count_star()")
    assert told in said.err
    assert ("is no instrument" in said.err or "nothing of" in said.err) == bool(told)


def test_arrow_is_nothing_for_a_terminal(data):
    terminal = Terminal("select 1", "--format", "arrow", "--data", str(data))
    shown = terminal.read()
    assert terminal.process.wait() == 2
    terminal.close()
    assert "nothing for a terminal" in shown


def test_ctrl_c_ends_it_at_once_and_a_bar_shows_that_it_works(data):
    terminal = Terminal(ENDLESS, "--data", str(data))
    terminal.read(until="asking the lake")
    terminal.process.send_signal(signal.SIGINT)
    shown = terminal.read()
    assert terminal.process.wait() == 130
    terminal.close()
    assert "interrupted" in shown


def test_numbers_stand_right_and_times_are_readable():
    table = pa.table(
        {
            "time": pa.array([1_795_279_126_182_000, 1_795_279_126_000_001, None], pa.timestamp("us", "UTC")),
            "price": [1.5, 96900.13, None],
            "name": ["a", "\x1b[31mred\n", "x" * 60],
            "list": [[1], None, []],
        }
    )
    assert grid(table).splitlines() == [
        "time                           price  name                                      list",
        "2026-11-21 16:38:46.182          1.5  a                                         [1]",
        "2026-11-21 16:38:46.000001  96900.13  ?[31mred?                                 null",
        f"null                            null  {'x' * 39}…  []",
    ]


def test_nothing_found_is_a_head_without_rows():
    assert grid(pa.table({"a": pa.array([], pa.int64())})).splitlines() == ["a"]

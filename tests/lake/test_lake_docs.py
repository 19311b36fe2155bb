"""docs/lake.md: every example runs against a real recording, every view and column is told, and none that does not exist.

What README and docs/bars-and-books.md do with a lake in Python runs as well; only the name and the times are those of the recording.
"""

import ast
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import tapeline as tl
from tapeline.cli import main
from tapeline.clock import SECOND
from tapeline.lake import views

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "lake.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def simulated(text: str) -> str:
    """The recording is of the simulated market."""
    return text.replace("binance:BTC-USDT", "sim:BTC-USDT")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder in which `tapeline record` has just recorded into `data`."""
    place = tmp_path_factory.mktemp("docs")
    command = "record binance:BTC-USDT binance-usdm:BTC-USDT-PERP --simulate --for 8s --data data --set sinks.lake_seconds=1"
    subprocess.run(
        [sys.executable, "-m", "tapeline", *command.split()],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=True,
        capture_output=True,
    )
    return place


@pytest.mark.parametrize("sql", blocks("sql"))
def test_sql(place, sql):
    assert tl.open(place / "data").sql(simulated(sql)).num_rows > 0


@pytest.mark.parametrize("code", blocks("python"))
def test_python(place, monkeypatch, code):
    monkeypatch.chdir(place)
    names = {}
    exec(simulated(code), names)
    for name in ("table", "one", "frame", "same"):
        if name in names:
            assert len(names[name]) > 0


def told_elsewhere() -> list[str]:
    pages = (ROOT / "README.md", ROOT / "docs" / "bars-and-books.md")
    found = [b for page in pages for b in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)]
    return [block for block in found if "lake." in block or "trades" in block.split()[-1] or "Kinds" in block]


def then(time: re.Match, trades: list[tl.Trade]) -> str:
    """Some bars before the first trade where the document means a beginning, after the last where it means an end or an instant."""
    begins = not time[1] and (time[2] or "T09")[:3] in ("T09", "T10")
    ns = trades[0].ts_event - 100 * SECOND if begins else trades[-1].ts_recv
    return datetime.fromtimestamp(ns / SECOND, UTC).isoformat()


@pytest.mark.parametrize("code", told_elsewhere())
def test_python_of_other_pages(place, monkeypatch, code):
    monkeypatch.chdir(place)
    trades = [e for e in tl.replay("data", instruments=["sim:BTC-USDT"]) if isinstance(e, tl.Trade)]
    code = re.sub(r'(at=)?"2026-11-21(T[^"]+)?"', lambda m: f'{m[1] or ""}"{then(m, trades)}"', simulated(code))
    names = {"tl": tl, "lake": tl.open("data"), "trades": trades}
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Expr):
            found = eval(ast.unparse(statement), names)
            assert found is None or not hasattr(found, "num_rows") or found.num_rows > 0, ast.unparse(statement)
        else:
            exec(ast.unparse(statement), names)


def test_other_pages_have_python_that_asks_a_lake():
    assert len(told_elsewhere()) == 4


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines()])
def test_command(place, monkeypatch, capsysbinary, line):
    monkeypatch.chdir(place)
    piped, _, command = simulated(line).rpartition(" | ")
    if piped:
        import io

        monkeypatch.setattr("sys.stdin", io.StringIO(shlex.split(piped)[1]))
    program, *arguments = shlex.split(command)
    assert program == "tapeline"
    assert main(arguments) == 0
    written = place / "trades.parquet"
    assert capsysbinary.readouterr().out or written.stat().st_size > 0


def test_the_views_are_told():
    section = TEXT[TEXT.index("## The views") : TEXT.index("Each has the fields")]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(views.NAMES)


def test_the_common_columns_are_told():
    section = TEXT[TEXT.index("Each has the fields") : TEXT.index("## Functions")]
    told = {name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    common = set.intersection(*({c.name for c in views.columns(view)} for view in views.VIEWS))
    assert told == common


def test_the_functions_are_told():
    section = TEXT[TEXT.index("## Functions") : TEXT.index("## Examples")]
    made = {re.match(r"CREATE MACRO (\w+)", macro)[1] for macro in views.MACROS}
    assert {
        name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)\(", row)
    } == made

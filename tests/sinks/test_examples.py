"""What docs/sinks.md shows of the files' readers, run as it stands there on files that the sinks wrote; only the day is another.

DuckDB's answers are taken as Arrow tables: as rows of Python, times with a zone would need one package more (pytz).
"""

import re
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from tapeline.config import FilesSettings
from tapeline.sinks.csv import CsvSink
from tapeline.sinks.jsonl import JsonlSink
from tapeline.sinks.lake import LakeSink
from tests.sinks.helpers import frames

PAGE = (Path(__file__).parents[2] / "docs" / "sinks.md").read_text(encoding="utf-8")
EVENTS = [e for events in frames(400) for e in events]
NEXT_DAY = "2026-11-20"  # most of these events are of it


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder whose `data` the three sinks have written into."""
    place = tmp_path_factory.mktemp("examples")
    for sink in (LakeSink(place / "data"), *(kind(place / "data", FilesSettings()) for kind in (CsvSink, JsonlSink))):
        sink.open()
        sink.commit("s", 399, EVENTS)
        sink.close()
    return place


def blocks(kind: str) -> list[str]:
    found = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.replace("2026-11-21", NEXT_DAY), re.MULTILINE | re.DOTALL)
    return [block for block in found if block.startswith(("-- duckdb", "pandas."))]


@pytest.mark.parametrize("statement", [s for block in blocks("sql") for s in block.split(";") if s.strip()])
def test_duckdb(place, monkeypatch, statement):
    monkeypatch.chdir(place)
    assert duckdb.connect().sql(statement).to_arrow_table().num_rows > 0


@pytest.mark.parametrize("line", [line for block in blocks("python") for line in block.splitlines()])
def test_pandas_and_polars(place, monkeypatch, line):
    monkeypatch.chdir(place)
    table = eval(line, {"pandas": pd, "polars": pl})
    assert len(table.collect() if isinstance(table, pl.LazyFrame) else table) > 0


def test_there_are_examples():
    assert len(blocks("sql")) == 3
    assert len(blocks("python")) == 2

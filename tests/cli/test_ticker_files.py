"""Tickers added to files of earlier runs: torn ones, edited ones, and such as are no ticker files at all."""

import csv
import errno
from pathlib import Path

import pytest

from tapeline.cli.ticker_files import HEADER, TickerFiles
from tapeline.events import Event, Ticker

T0 = 1_795_132_800_000_000_000
BTC, INDEX = "binance:BTC-USDT", "yahoo:^GSPC"


def ticker(n: int, instrument: str = BTC) -> Ticker:
    return Ticker(instrument, T0 + n, T0 + n, 0, last=100.0 + n, volume=1e-7)


def lasts(path: Path) -> list[str]:
    return [row["last"] for row in csv.DictReader(path.read_text().splitlines())]


def run(directory: Path, *events: Event) -> TickerFiles:
    files = TickerFiles(str(directory))
    files._write(events)
    return files


def test_a_file_an_instrument_and_its_header_once(tmp_path):
    run(tmp_path / "new", ticker(1), ticker(2, INDEX), ticker(3))
    run(tmp_path / "new", ticker(4))
    assert lasts(tmp_path / "new" / "binance_BTC-USDT.csv") == ["101.0", "103.0", "104.0"]
    assert lasts(tmp_path / "new" / "yahoo_%5EGSPC.csv") == ["102.0"]


@pytest.mark.parametrize("cut", [1, 5, 40, 90])
def test_a_torn_last_line_is_cut_off(tmp_path, cut):
    path = tmp_path / "binance_BTC-USDT.csv"
    run(tmp_path, ticker(1), ticker(2))
    path.write_bytes(path.read_bytes()[:-1][:-cut])
    run(tmp_path, ticker(3))
    assert lasts(path) == ["101.0", "103.0"]


def test_a_whole_last_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "binance_BTC-USDT.csv"
    run(tmp_path, ticker(1), ticker(2))
    path.write_bytes(path.read_bytes()[:-1])
    run(tmp_path, ticker(3))
    assert lasts(path) == ["101.0", "102.0", "103.0"]


def test_a_file_of_other_columns_is_left_alone(tmp_path):
    path = tmp_path / "binance_BTC-USDT.csv"
    path.write_text("my,own,columns\n1,2,3\n")
    for n in (1, 2):
        run(tmp_path, ticker(n))
    assert path.read_text() == "my,own,columns\n1,2,3\n"
    assert lasts(tmp_path / "binance_BTC-USDT-2.csv") == ["101.0", "102.0"]


def test_an_empty_file_gets_its_header(tmp_path):
    path = tmp_path / "binance_BTC-USDT.csv"
    path.touch()
    run(tmp_path, ticker(1))
    assert path.read_bytes().startswith(HEADER + b"\n")


def test_a_write_that_fails_half_way_leaves_nothing_of_itself(tmp_path, monkeypatch):
    files = run(tmp_path, ticker(1), ticker(1, INDEX))
    path = files._path

    def fails_for_the_index(instrument):
        if instrument == INDEX:
            raise OSError(errno.ENOSPC, "No space left on device")
        return path(instrument)

    monkeypatch.setattr(files, "_path", fails_for_the_index)
    with pytest.raises(OSError, match="No space"):
        files._write([ticker(2), ticker(2, INDEX)])
    monkeypatch.undo()
    files._write([ticker(2), ticker(2, INDEX)])
    assert lasts(tmp_path / "binance_BTC-USDT.csv") == ["101.0", "102.0"]
    assert lasts(tmp_path / "yahoo_%5EGSPC.csv") == ["101.0", "102.0"]

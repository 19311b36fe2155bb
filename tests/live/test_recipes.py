"""The commands of docs/recipes.md, run against the simulated market as they stand there, only shorter."""

import re
import shlex
from pathlib import Path

import pytest

from tapeline.cli import main
from tests.live.spans import bring_at_least

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recipes.md").read_text()
NUMBER = r"[-+]?[0-9.]+%?"
COMMANDS = re.findall(r"^```sh\ntapeline (record .*)\n```$", PAGE, re.MULTILINE)


def shortened(command: str) -> list[str]:
    words = shlex.split(re.sub(r" --for \S+", "", command).replace("--summary 5s", "--summary 0.4s"))
    return [*words, "--for", "1.2", "--simulate"]


def test_there_is_a_command_for_each_job():
    text = " ".join(COMMANDS)
    assert all(option in text for option in ("--csv", "--report", "--summary", "--ticker-csv", "streams.trades=trade"))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_does_what_the_page_says(command, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    bring_at_least(monkeypatch, **{"Ticker" if "--ticker-csv" in command else "Trade": 1})
    assert main(shortened(command)) == 0
    said = capfd.readouterr()
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    if "--csv" in command:
        assert left == (["out.csv", "out.json"] if "--report" in command else ["out.csv"])
        header, *rows = (tmp_path / "out.csv").read_text().splitlines()
        assert header in PAGE
        assert rows
        assert f"out.csv: {len(rows)} trades in" in said.err
        assert ("AGGREGATED" in rows[0]) is ("trades=trade" not in command)
    elif "--ticker-csv" in command:
        assert left == ["tickers/sim_BTC-USDT.csv", "tickers/sim_ETH-USDT.csv"]
        assert (tmp_path / left[0]).read_text().splitlines()[0] in PAGE
        assert re.search(r"tickers/sim_BTC-USDT.csv: \d+ tickers? added", said.err)
    else:
        assert left == []
        like = re.search(r"^\S+  sim:BTC-USDT  trades .*$", PAGE, re.MULTILINE)[0]
        shape = re.sub(NUMBER, "#", like.split("  ", 2)[2]).split()
        line = next(line for line in said.out.splitlines() if "sim:BTC-USDT" in line and "trades 0" not in line)
        assert re.sub(NUMBER, "#", line.split("  ", 2)[2]).split() == shape

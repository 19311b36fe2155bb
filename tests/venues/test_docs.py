"""docs/venues.md has one row a venue, and says of each what it is, what proves it, and what is impossible there."""

import re
from pathlib import Path
from typing import get_args

import pytest

from tapeline.plans import Channel
from tapeline.venues.registry import VENUES, venue_class

PAGE = (Path(__file__).parents[2] / "docs" / "venues.md").read_text()
ROWS = {
    cells[1].strip(" `"): cells
    for line in PAGE.splitlines()
    if line.startswith("| `") and (cells := re.split(r"(?<!\\)\|", line))
}
COLUMNS = ("venue", "channels", "what proves the book", "trades", "what is impossible there and why")
CHANNELS = set(get_args(Channel))


def test_each_venue_has_one_row_and_no_row_is_of_anything_else() -> None:
    rows = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(VENUES)
    assert "| " + " | ".join(COLUMNS) + " |" in PAGE


@pytest.mark.parametrize("name", VENUES)
def test_its_channels_are_those_of_its_file(name: str) -> None:
    cell = ROWS[name][2]
    told = CHANNELS if cell.strip() == "all six" else set(re.findall(r"`(\w+)`", cell)) & CHANNELS
    assert told == set(venue_class(name).channels)


@pytest.mark.parametrize("name", VENUES)
def test_nothing_is_left_out_of_it(name: str) -> None:
    _, _, channels, proof, trades, impossible, _ = ROWS[name]
    assert all(len(cell.strip()) > 5 for cell in (channels, proof, trades))
    assert "because" in impossible, "what is impossible has a reason"
    if "book" not in venue_class(name).channels:
        assert "no book" in proof
    if venue_class(name).book_checksum is not None:
        assert re.search("checksum|CRC32", proof)
    asks = {"none": "without ids|no id", "unique": "unique|no order", "consecutive": "number|\\+1|consecutive"}
    assert re.search(asks[venue_class(name).trade_ids], trades), trades


@pytest.mark.parametrize("name", VENUES)
def test_a_paragraph_tells_its_limits(name: str) -> None:
    _, found, text = PAGE.partition(f"\n## {name}\n")
    text = text.partition("\n## ")[0]
    assert found, f"docs/venues.md has no section {name}"
    assert len(text.split()) > 30
    assert re.search(r"\d", text), "limits are numbers"

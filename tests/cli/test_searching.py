"""How the page's search asks venues: the real ones as `tapeline instruments` does, in a simulated session simulated ones only."""

from types import SimpleNamespace
from typing import Any

import pytest

from tapeline.cli.searching import finder_of
from tapeline.config import Settings, VenueSettings
from tapeline.errors import TapelineError, UsageError
from tests.cli.venue import venue


def finder(mode: str, data: Any, **venues: VenueSettings):
    collector: Any = SimpleNamespace(mode=mode)
    return finder_of(collector, Settings(data=str(data), answer_seconds=5.0, venues=venues))


async def test_a_venue_is_asked_for_its_list_without_a_word_on_the_terminal(tmp_path, capsys):
    with venue() as address:
        found = await finder("live", tmp_path, binance=VenueSettings(http_url=address)).ask("binance", "btc")
    assert [name for name, _ in found.instruments] == [
        "binance:BTC-USDT", "binance:ETH-USDT", "binance:ETH-BTC", "binance:SOL-USDT",
    ]  # fmt: skip
    assert capsys.readouterr().err == ""
    with venue(status=451) as address:  # the list was kept
        found = await finder("live", tmp_path, binance=VenueSettings(http_url=address)).ask("binance", "btc")
        assert len(found.instruments) == 4
        with pytest.raises(TapelineError, match="451"):
            await finder("live", tmp_path / "other", binance=VenueSettings(http_url=address)).ask("binance", "btc")


async def test_a_simulated_session_asks_simulated_venues(tmp_path):
    searching = finder("simulated", tmp_path, kraken=VenueSettings(http_url="http://127.0.0.1:1"))
    found = await searching.ask("kraken", "btc")
    ids = {name: i.id for name, i in found.instruments}
    assert ids["kraken:BTC-USD"] == "sim-kraken:BTC-USD"
    with pytest.raises(UsageError, match="no simulator"):
        await searching.ask("nowhere", "btc")

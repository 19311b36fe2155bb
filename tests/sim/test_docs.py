"""docs/simulator.md names each fault and each of its keys, and where each venue is found."""

from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest

from tapeline.config import VenueSettings
from tapeline.sim import faults
from tapeline.sim.registry import simulated, wire_class
from tests.venues.wire_talk import instruments, make, natives_of

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()


def test_each_fault_is_documented_with_its_keys():
    rows = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}
    for kind in get_args(faults.AnyFault):
        name = kind.__struct_config__.tag
        shared = {"venue", "stream", "after", "every", "times", "delay", "repeat"}
        assert name in rows, f"{name} has no row"
        for key in set(kind.__struct_fields__) - shared:
            assert f"`{key}`" in rows[name], f"{name}: {key}"
        if kind.__doc__ is None or name == "malformed":
            for how in get_args(kind.__annotations__["how"]):
                assert f"`{how}`" in rows[name]


def addresses() -> dict[str, list[str]]:
    table = PAGE.partition("## Addresses")[2].partition("\n\n##")[0].partition("\n\nAll")[0]
    return {line.split("`")[1]: line.split("|")[2:4] for line in table.splitlines() if line.startswith("| `")}


def test_the_table_of_addresses_has_each_venue():
    assert sorted(addresses()) == sorted(simulated())


@pytest.mark.parametrize("name", simulated())
def test_what_tapeline_asks_of_a_venue_is_in_the_table(name):
    """The path of each socket, and of each question for instruments, missing trades and candles."""
    socket, http = addresses()[name]
    place = f"//host/{name}" if wire_class(name).prefixed else "//host"
    venue = make(name, VenueSettings(ws_url=f"ws:{place}", http_url=f"http:{place}"))
    listed = instruments(venue, natives_of(name))
    for plan in venue.plan(listed, venue.channels):
        parts = [part for part in urlsplit(plan.url).path.split("/") if part]
        assert all(part in socket for part in parts if (name, part) != ("binance-usdm", "stream")), plan.url
    asked = [
        *venue.instruments_requests(),
        venue.trades_request(listed[0].native, 1, 2, 0, 0),
        *venue.past_requests(listed[0].native, 0),
    ]
    for request in filter(None, asked):
        parts = [part for part in urlsplit(request.url).path.split("/") if part and part not in {name, listed[0].native}]
        assert all(part in http for part in parts), request.url

"""A message's JSON as `helpers.row` writes events, worked out from the JSON alone."""

from typing import Any

from tapeline.events import TYPES, Flag
from tests.sinks.helpers import Row, plain

DEFAULTS = {
    "trade": {"conditions": None},
    "book": {"bid_floor": None, "ask_ceiling": None, "depth": None},
    "bar": {"sell_volume": None, "open_interest": None},
    "metrics": {"values": None, "incomplete": None},
    "alert": {"severity": None, "id": None},
}
"""Fields that the JSON leaves out where they say nothing."""


def row_of(body: dict[str, Any]) -> Row:
    values = DEFAULTS.get(body["type"], {}) | body
    values["flags"] = sum(Flag[name].value for name in body["flags"])
    names = TYPES[body["type"]].__struct_fields__
    return (body["type"], *(plain(values[name]) for name in names))

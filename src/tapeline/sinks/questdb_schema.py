"""The tables of the QuestDB sink, drawn from the events' one definition, and the statements that make and check them.

Columns are the designated `timestamp`, the event's fields, and `session_id` and `n`, which name an event for good and are the
same as in the lake. `timestamp` has nanoseconds (TIMESTAMP_NS, QuestDB 9.1 and newer): it is `ts_event`, of a bar its label
`ts_open`. A designated timestamp cannot lie before 1970, and an impossible one would make a partition that nobody looks into:
there it is `ts_recv`, by the rule of the lake's folders. The times themselves stand beside it as LONG.

Texts of few values are SYMBOLs. Book levels are DOUBLE[][] of two rows, as QuestDB's own examples have it: `bids[1]` the
prices, `bids[2]` the sizes, `bids[1][1]` the first price. What QuestDB has no way to tell from null is null: an empty side of a
book, an empty SYMBOL, a number that is none, and the smallest 64-bit number.

Every table is a WAL table with DEDUP UPSERT KEYS (timestamp, session_id, n): the same event sent again replaces itself.
`positions` has one row a session, always at 1970, that replaces itself likewise.
"""

from typing import Any, Literal, get_origin

from tapeline.events import TYPES, Event, bare_type, fields
from tapeline.lake.tables import FEW_VALUES
from tapeline.sinks.naming import TABLES

_SPELT = {float: "DOUBLE", int: "LONG", bool: "BOOLEAN", str: "VARCHAR"}
KEYS = ("timestamp", "session_id", "n")
POSITIONS = "positions"
_POSITIONS = {"timestamp": "TIMESTAMP_NS", "session_id": "SYMBOL", "seq": "LONG", "events": "LONG", "finished": "BOOLEAN"}
_POSITION_KEYS = ("timestamp", "session_id")


def name_of(event_type: type[Event]) -> str:
    """The table's name without the prefix."""
    return TABLES[event_type]


def columns(event_type: type[Event]) -> dict[str, str]:
    """Column name → QuestDB's type, in the order of the table."""
    drawn = {"timestamp": "TIMESTAMP_NS"}
    for name, hint in fields(event_type).items():
        bare, _ = bare_type(hint)
        drawn[name] = _type(name, bare)
    return drawn | {"session_id": "SYMBOL", "n": "LONG"}


def _type(name: str, bare: Any) -> str:
    if name == "flags":
        return "INT"
    if get_origin(bare) is list:
        return "DOUBLE[][]"
    if get_origin(bare) is dict:
        return "VARCHAR"
    if get_origin(bare) is Literal or name in FEW_VALUES:
        return "SYMBOL"
    return _SPELT[bare]


def symbols(event_type: type[Event]) -> list[str]:
    """The fields of an event that are SYMBOLs."""
    drawn = columns(event_type)
    return [name for name in event_type.__struct_fields__ if drawn[name] == "SYMBOL"]


def tables() -> dict[str, tuple[dict[str, str], tuple[str, ...]]]:
    """Every table without its prefix: columns and keys."""
    made = {name_of(event_type): (columns(event_type), KEYS) for event_type in TYPES.values()}
    return made | {POSITIONS: (_POSITIONS, _POSITION_KEYS)}


def create(table: str, drawn: dict[str, str], keys: tuple[str, ...], partition: str) -> str:
    listed = ", ".join(f'"{name}" {kind}' for name, kind in drawn.items())
    return (
        f'CREATE TABLE IF NOT EXISTS "{table}" ({listed}) TIMESTAMP("timestamp") PARTITION BY {partition} WAL '
        f"DEDUP UPSERT KEYS({', '.join(keys)})"
    )


def partition(table: str) -> str:
    return "YEAR" if table == POSITIONS else "DAY"


def described(table: str) -> str:
    return f"SELECT \"column\", type, designated, upsertKey FROM table_columns('{table}')"  # noqa: S608 - our own names

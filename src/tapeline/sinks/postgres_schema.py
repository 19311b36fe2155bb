"""The tables of the PostgreSQL sink, drawn from the events' one definition.

A table a kind of event, in a schema of its own. Columns: `time`, then the event's fields in order, then `session_id` and `n`,
which name an event for good and are the same as in the lake. `time` is what TimescaleDB, Grafana and a person read: a timestamptz,
which holds microseconds; the exact nanoseconds stand beside it in `ts_event`, `ts_recv` and `ts_open`. It is `ts_event`, of a bar
its label `ts_open`; an impossible time would make a partition that nobody looks into, so there it is `ts_recv`, by the rule of the
lake's folders.

Book levels are arrays, two a side (`bid_prices`, `bid_sizes`, `ask_prices`, `ask_sizes`), equally long: `bid_prices[1]` is a
number, and `unnest(bid_prices, bid_sizes)` gives rows. An array of a composite type or JSON would be longer and need a cast before
every sum.

Other than the lake, `bars` holds one row a bar, its latest revision (`upsert_bars` says which); that needs a key, and TimescaleDB
wants `time` in it. The other tables have none: the position, committed with the rows, is what makes every event be there once.

With the extension `timescaledb` in the database, tables that are empty become hypertables of one day a chunk. Without it each has a
BRIN index on `time`, which is tiny because rows come nearly in order. Both have a btree on (instrument, time).
"""

from typing import Any, Literal, get_origin

from psycopg import sql

from tapeline.events import Bar, Event, bare_type, fields
from tapeline.sinks.naming import TABLES

BAR_KEY = ("instrument", "interval", "origin", "time", "ts_open")
STAGE = "tapeline_stage"
"""Temporary table, for bars come by COPY, which knows no ON CONFLICT. Asked for in each transaction with bars: behind a pooler the
next one may be on another connection of the server.
"""

POSITIONS = "positions"
_POSITIONS = {
    "session_id": "text NOT NULL",
    "seq": "bigint NOT NULL",
    "events": "bigint NOT NULL",
    "finished": "boolean NOT NULL",
}
_SPELT = {float: "double precision", int: "bigint", bool: "boolean", str: "text"}
_RANK = '({0}."complete", coalesce({0}."trades", -1), {0}."session_id" COLLATE "C")'
CHUNK = "1 day"


def columns(event_type: type[Event]) -> dict[str, str]:
    """Column name → its type as PostgreSQL spells it, with NOT NULL where that holds; in the order of the table."""
    drawn = {"time": "timestamp with time zone NOT NULL"}
    for name, hint in fields(event_type).items():
        bare, optional = bare_type(hint)
        if get_origin(bare) is list:
            side = name.removesuffix("s")
            drawn |= {f"{side}_prices": "double precision[] NOT NULL", f"{side}_sizes": "double precision[] NOT NULL"}
            continue
        drawn[name] = _type(name, bare) + ("" if optional else " NOT NULL")
    return drawn | {"session_id": "text NOT NULL", "n": "bigint NOT NULL"}


def _type(name: str, bare: Any) -> str:
    if name == "flags":
        return "integer"
    if get_origin(bare) is dict:
        return "jsonb"
    return "text" if get_origin(bare) is Literal else _SPELT[bare]


def tables() -> dict[str, dict[str, str]]:
    """Every table with its columns, the sink's own `positions` among them."""
    return {table: columns(event_type) for event_type, table in TABLES.items()} | {POSITIONS: _POSITIONS}


def names(event_type: type[Event]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns(event_type)))


def create(schema: str, table: str) -> list[sql.Composed]:
    """The statements that make one table, without its indexes."""
    drawn = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in tables()[table].items()]
    key = {TABLES[Bar]: BAR_KEY, POSITIONS: ("session_id",)}.get(table)
    if key:
        drawn.append(sql.SQL("PRIMARY KEY ({})").format(sql.SQL(", ").join(map(sql.Identifier, key))))
    return [sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(schema, table), sql.SQL(", ").join(drawn))]


def add_column(schema: str, table: str, column: str) -> sql.Composed:
    kind = sql.SQL(tables()[table][column])
    return sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(sql.Identifier(schema, table), sql.Identifier(column), kind)


def indexes(schema: str, table: str, *, hypertable: bool) -> list[sql.Composed]:
    """A hypertable is cut by time already; its BRIN would say nothing new. `bars` has its key."""
    if table == POSITIONS:
        return []
    made = []
    if table != TABLES[Bar]:
        made.append(("by_instrument", sql.SQL("btree (instrument, time)")))
    if not hypertable:
        made.append(("by_time", sql.SQL("brin (time)")))
    statement = sql.SQL("CREATE INDEX {} ON {} USING {}")
    return [statement.format(sql.Identifier(f"{table}_{name}"), sql.Identifier(schema, table), how) for name, how in made]


def hypertable(timescale: str, schema: str, table: str) -> sql.Composed:
    """`timescale` is the schema of the extension's functions. The table must be empty."""
    statement = sql.SQL(
        "SELECT {}(relation => {}::regclass, time_column_name => 'time', chunk_time_interval => interval {}, "
        "create_default_indexes => false, if_not_exists => true)"
    )
    qualified = sql.Identifier(schema, table).as_string()
    return statement.format(sql.Identifier(timescale, "create_hypertable"), sql.Literal(qualified), sql.Literal(CHUNK))


def stage(schema: str) -> sql.Composed:
    statement = sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE {}) ON COMMIT DELETE ROWS")
    return statement.format(sql.Identifier(STAGE), sql.Identifier(schema, TABLES[Bar]))


def upsert_bars(schema: str) -> sql.Composed:
    """One row a bar: the latest revision of the session that made it.

    Two sessions can each make a part of one bar (a restart within its interval). A complete one wins over one with a hole,
    then the one with more trades, then the later session: the same row whichever session is committed first.
    """
    key = sql.SQL(", ").join(map(sql.Identifier, BAR_KEY))
    rest = [name for name in columns(Bar) if name not in BAR_KEY]
    taken = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in rest)
    statement = sql.SQL(
        "INSERT INTO {table} AS old ({names}) SELECT DISTINCT ON ({key}) {names} FROM {stage} ORDER BY {key}, revision DESC, n DESC "
        "ON CONFLICT ({key}) DO UPDATE SET {taken} WHERE CASE WHEN excluded.session_id = old.session_id "
        "THEN excluded.revision >= old.revision ELSE {new_rank} > {old_rank} END"
    )
    return statement.format(
        table=sql.Identifier(schema, TABLES[Bar]),
        names=names(Bar),
        key=key,
        stage=sql.Identifier("pg_temp", STAGE),
        taken=taken,
        new_rank=sql.SQL(_RANK.format("excluded")),
        old_rank=sql.SQL(_RANK.format("old")),
    )

"""What stands in the schema, compared with what is to stand there: made where it is missing, refused where it is something else.

Only what is missing is made, so that a user who may insert but not create can write where an administrator made the tables.
"""

import psycopg
import structlog
from psycopg import sql

from tapeline.errors import ConfigError
from tapeline.sinks import postgres_schema as schema

log = structlog.get_logger("tapeline.sinks")
LONGEST_NAME = 63
_COLUMNS = """
SELECT c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE s.nspname = %s AND c.relname = ANY(%s)"""
_MAY = "SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) p WHERE NOT has_table_privilege(%s, p)"
_EXTENSION = (
    "SELECT s.nspname FROM pg_extension e JOIN pg_namespace s ON s.oid = e.extnamespace WHERE e.extname = 'timescaledb'"
)
_HYPERTABLES = "SELECT hypertable_name FROM timescaledb_information.hypertables WHERE hypertable_schema = %s"


def set_up(db: psycopg.Connection, name: str) -> None:
    """Raises ConfigError, or psycopg.Error where the server says no."""
    if not name or len(name.encode()) > LONGEST_NAME or "\0" in name:
        raise ConfigError("postgres.schema", name, f"a schema's name has 1 to {LONGEST_NAME} bytes")
    with db.transaction():
        if _one(db, "SELECT to_regnamespace(%s) IS NULL", sql.Identifier(name).as_string()):
            db.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        there = _there(db, name)
        for table, wanted in schema.tables().items():
            if table in there:
                _compare(db, name, table, there[table], wanted)
            else:
                for statement in schema.create(name, table):
                    db.execute(statement)
        _partition(db, name, new=[t for t in schema.tables() if t not in there])
    if _one(db, "SELECT current_setting('transaction_read_only') = 'on'"):
        raise psycopg.errors.ReadOnlySqlTransaction("the server, or our user, is read-only")


def _one(db: psycopg.Connection, statement: str, *values: str) -> object:
    found = db.execute(statement, values).fetchone()
    return found and found[0]


def _there(db: psycopg.Connection, name: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, kind, column, spelt in db.execute(_COLUMNS, (name, list(schema.tables()))):
        if kind not in ("r", "p"):
            raise _shape(name, f"{table} is no table")
        found.setdefault(table, {})
        if column is not None:
            found[table][column] = spelt
    return found


def _compare(db: psycopg.Connection, name: str, table: str, there: dict[str, str], wanted: dict[str, str]) -> None:
    """A column that a later release added, which may be null, is added; columns of the user's own do not matter to us."""
    for column, spelt in wanted.items():
        if column not in there and not spelt.endswith("NOT NULL"):
            db.execute(schema.add_column(name, table, column))
        elif column not in there:
            raise _shape(name, f"table {table} has no column {column}")
        elif there[column].removesuffix(" NOT NULL") != spelt.removesuffix(" NOT NULL"):
            raise _shape(name, f"column {column} of table {table} is {there[column]}, not {spelt}")
    lacking = [row[0] for row in db.execute(_MAY, (sql.Identifier(name, table).as_string(),))]
    if lacking:
        raise ConfigError(
            "postgres.schema", name, f"we may not {', '.join(lacking)} on {table}: GRANT it, or set another schema"
        )


def _shape(name: str, what: str) -> ConfigError:
    return ConfigError("postgres.schema", name, f"{what}: it was not made by us; move it away, or set another schema")


def _partition(db: psycopg.Connection, name: str, new: list[str]) -> None:
    """Hypertables where TimescaleDB is there, and the indexes of tables that are new."""
    timescale = _one(db, _EXTENSION)
    events = [table for table in schema.tables() if table != schema.POSITIONS]
    cut = {row[0] for row in db.execute(_HYPERTABLES, (name,))} if timescale else set()
    if timescale:
        for table in events:
            if table in cut:
                continue
            if _filled(db, name, table):
                log.warning(
                    "a table with rows stays a plain one; TimescaleDB's migrate_data can change it", table=f"{name}.{table}"
                )
                continue
            db.execute(schema.hypertable(str(timescale), name, table))
            cut.add(table)
    for table in new:
        for statement in schema.indexes(name, table, hypertable=table in cut):
            db.execute(statement)


def _filled(db: psycopg.Connection, name: str, table: str) -> bool:
    found = db.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(name, table))).fetchone()
    return bool(found and found[0])

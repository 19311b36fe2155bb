"""How commands give a table: for the eye, or as CSV, JSON lines, Arrow or Parquet, to standard output or into a file.

For the eye times are ISO texts and lists are left to the other formats; everything else has the columns as they are, times in
integer nanoseconds, so that no digit is lost between two programs.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pyarrow as pa
from cyclopts import Parameter

from tapeline.cli.output import columns
from tapeline.clock import iso
from tapeline.errors import ConfigError, UsageError

Format = Literal["table", "csv", "json", "arrow", "parquet"]
FormatOption = Annotated[
    Format | None,
    Parameter(name="--format", help="How: table, csv, json (lines), arrow or parquet.", show_default=False),
]
OutputOption = Annotated[
    str | None, Parameter(name="--output", help="Into this file; its ending says how.", show_default=False)
]
ENDINGS: dict[str, Format] = {
    ".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".arrow": "arrow", ".feather": "arrow",
    ".parquet": "parquet", ".txt": "table",
}  # fmt: skip
EARLIEST = 10**18  # 2001: what is smaller is no time to be read


def form_of(form: Format | None, output: str | None) -> Format:
    """What was asked for, or what the file's ending says. Raises UsageError where it says nothing."""
    if form is None and output is not None:
        if (told := ENDINGS.get(Path(output).suffix.lower())) is None:
            raise UsageError(f"--output {output}: say --format too, or end it in {', '.join(ENDINGS)}")
        return told
    return form or "table"


def give(table: pa.Table, form: Format | None, output: str | None, seen: Iterable[str] = ()) -> None:
    """`seen`: the columns that a table for the eye shows. Raises UsageError, ConfigError where the file cannot be written."""
    form = form_of(form, output)
    if output is None:
        if form in {"arrow", "parquet"} and sys.stdout.isatty():
            raise UsageError(f"--format {form} is not for a terminal: add --output FILE, or pipe it")
        sys.stdout.flush()
        _WRITE[form](table.select(list(seen)) if seen and form == "table" else table, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    place = Path(output)
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            _WRITE[form](table.select(list(seen)) if seen and form == "table" else table, file)
        part.replace(place)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise ConfigError("--output", output, f"cannot be written: {e.strerror or e}") from e


def _table(table: pa.Table, file: Any) -> None:
    shown = [[_text(name, value) for value in table[name].to_pylist()] for name in table.column_names]
    rows = [table.column_names, *map(list, zip(*shown, strict=True))]
    file.write(columns(rows).encode())


def _text(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and (name == "at" or name.startswith("ts_")) and value >= EARLIEST:
        return readable(value)
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def readable(ns: int) -> str:
    """`2026-11-21T10:00:00.5Z`: as `iso`, without zeros at the end; to be copied behind --at or --from."""
    head, dot, digits = iso(ns).removesuffix("Z").partition(".")
    digits = digits.rstrip("0")
    return f"{head}{dot if digits else ''}{digits}Z"


def _csv(table: pa.Table, file: Any) -> None:
    from pyarrow import csv

    csv.write_csv(table, file, csv.WriteOptions(quoting_style="needed"))


def _json(table: pa.Table, file: Any) -> None:
    for line in _lines(table):
        file.write(line)


def _lines(table: pa.Table) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            yield encode(row) + b"\n"


def _arrow(table: pa.Table, file: Any) -> None:
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def _parquet(table: pa.Table, file: Any) -> None:
    from pyarrow import parquet

    parquet.write_table(table, file, compression="zstd")


_WRITE: dict[Format, Callable[[pa.Table, Any], None]] = {
    "table": _table, "csv": _csv, "json": _json, "arrow": _arrow, "parquet": _parquet,
}  # fmt: skip

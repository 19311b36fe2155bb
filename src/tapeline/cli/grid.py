"""An Arrow table for a person's eyes: as many columns as the terminal is wide, numbers to the right, times readable.

Columns that have no room are left out, and named below: a table that wraps cannot be read. Text of venues is shown, never obeyed:
what is not printable becomes a question mark.
"""

import io
from typing import Any, TextIO

import pyarrow as pa

from tapeline.lake.formats import encode, readable, values

WIDEST = 40
PIPED_WIDTH = 160
GAP = 2


def grid(table: pa.Table, terminal: TextIO | None = None) -> str:
    """`terminal`: where it will be shown; its width and colours are used. Without one: plain, 160 wide."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = io.StringIO()
    styled = terminal is not None and terminal.isatty()
    width = Console(file=terminal).width if styled else PIPED_WIDTH
    console = Console(file=out, width=width, force_terminal=styled, highlight=False, emoji=False, markup=False)
    cells = [_cells(table.schema.field(at), column) for at, column in enumerate(readable(table).columns)]
    fit = _fitting(table.column_names, cells, width)
    drawn = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for at in range(fit):
        right = _is_number(table.schema.field(at).type)
        drawn.add_column(
            Text(_safe(table.column_names[at])), justify="right" if right else "left", no_wrap=True, max_width=WIDEST
        )
    for row in zip(*cells[:fit], strict=True):
        drawn.add_row(*(Text("null", style="dim") if cell is None else Text(cell) for cell in row))
    if fit:
        console.print(drawn)
    if fit < len(cells):
        console.print(Text(f"no room for {', '.join(map(_safe, table.column_names[fit:]))}", style="dim"))
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


def _fitting(names: list[str], cells: list[list[str | None]], width: int) -> int:
    """How many of the columns, from the left, have room."""
    used = 0
    for at, (name, column) in enumerate(zip(names, cells, strict=True)):
        used += min(WIDEST, max([len(name), *(len(cell or "null") for cell in column)])) + GAP
        if used - GAP > width and at:
            return at
    return len(names)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _cells(field: pa.Field, column: pa.ChunkedArray) -> list[str | None]:
    show = _moment if pa.types.is_timestamp(field.type) else _shown
    return [None if value is None else _safe(show(value)) for value in values(column)]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return encode(value).decode() if isinstance(value, list | dict) else str(value)


def _moment(text: str) -> str:
    """`2026-11-21T16:38:46.182000Z` → `2026-11-21 16:38:46.182`: UTC, digits in threes that are zero left out."""
    day, _, rest = text.removesuffix("Z").partition("T")
    clock, _, digits = rest.partition(".")
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{day} {clock}{'.' * bool(digits)}{digits}"


def _safe(text: str) -> str:
    cut = text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
    return "".join(c if c.isprintable() else "?" for c in cut)

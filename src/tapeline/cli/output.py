"""How commands print: aligned columns that `grep` and `awk` can read, or JSON."""

import sys
from collections.abc import Sequence
from typing import Any

import msgspec


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns two spaces apart; the last one is not padded."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    lines = ("  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def many(n: int, word: str) -> str:
    """`1 frame`, `2 frames`."""
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def write(text: str) -> None:
    sys.stdout.write(text)


def write_json(value: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")

"""CSV, read by Python's own module; the events are put together again from names and texts alone."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any, Literal, get_origin

import zstandard

from tapeline.events import TYPES, Flag, bare_type, fields
from tests.sinks.helpers import Row, plain
from tests.sinks.subjects.base import Subject


def text_of(path: Path) -> str:
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    elif path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True).read()
    return raw.decode()


def _value(text: str, hint: Any) -> Any:
    bare, optional = bare_type(hint)
    if text == "" and optional:
        return None
    if bare is bool:
        return {"true": True, "false": False}[text]
    if get_origin(bare) is dict:
        return plain(json.loads(text))
    return text if bare is str or get_origin(bare) is Literal else bare(text)


def _flags(names: str) -> int:
    return sum(Flag[name] for name in names.split("|") if name)


def read_file(path: Path, tag: str) -> list[Row]:
    hints = fields(TYPES[tag])
    found: list[Row] = []
    levels: dict[str, list[tuple[float, float]]] = {"bid": [], "ask": []}
    header, *rows = csv.reader(text_of(path).splitlines(keepends=True))
    for cells in rows:
        row = dict(zip(header, cells, strict=True))
        row["flags"] = str(_flags(row["flags"]))
        if tag == "book":
            if row["side"]:
                levels[row["side"]].append((float(row["price"]), float(row["size"])))
            if row["more"] != "0":
                continue
            row["bids"] = row["asks"] = ""
        values = {name: _value(row[name], hint) for name, hint in hints.items() if name not in ("bids", "asks")}
        if tag == "book":
            values |= {"bids": tuple(levels["bid"]), "asks": tuple(levels["ask"])}
            levels = {"bid": [], "ask": []}
        found.append((tag, *(values[name] for name in hints)))
    return found


def read_csv(data: Path) -> list[Row]:
    paths = [p for p in sorted((data / "csv").glob("*/*/*/*")) if p.is_file()]
    return [row for path in paths for row in read_file(path, path.relative_to(data / "csv").parts[0])]


class CsvSubject(Subject):
    name = "csv"

    def read(self, data: Path) -> list[Row]:
        return read_csv(data)


SUBJECT = CsvSubject()

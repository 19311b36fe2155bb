"""Which instruments the lake has something of, and what to say of one that it has not: a misspelt name is answered, not an empty
table that looks like a market without trades.
"""

import difflib
from collections.abc import Collection, Iterable
from pathlib import Path

from tapeline.errors import UsageError
from tapeline.events import TYPES
from tapeline.instruments import split_id
from tapeline.lake import tail
from tapeline.lake.catalogue import Catalogue, read
from tapeline.lake.layout import NO_VALUE

MOST_NAMED = 8


def instruments(catalogue: Catalogue) -> list[str]:
    """What is committed, by name."""
    return sorted({f"{f.venue}:{f.symbol}" for f in catalogue.files if f.symbol not in ("", NO_VALUE)})


def check(data: Path, names: Iterable[str]) -> None:
    """Raises UsageError for an instrument of which neither the lake nor the session that records into it has anything."""
    there = set(instruments(read(data)))
    if not (absent := [name for name in names if name not in there]):
        return
    there |= _in_memory(data)
    for name in absent:
        split_id(name)
        if name not in there:
            raise UsageError(nothing_of(name, there))


def _in_memory(data: Path) -> set[str]:
    last = tail.ask(data, TYPES) or tail.Tail()
    return {name for table in last.tables.values() for name in table["instrument_id"].unique().to_pylist() if name}


def nothing_of(name: str, there: Collection[str], what: str = "nothing") -> str:
    """`the lake has nothing of …`, with what may have been meant."""
    symbol = name.partition(":")[2]
    same = [other for other in sorted(there) if other.partition(":")[2] == symbol]
    near = same or difflib.get_close_matches(name, sorted(there), n=3, cutoff=0.6)
    meant = f": did you mean {' or '.join(near[:3])}?" if near else "."
    if not there:
        return f"the lake has {what} of {name}; it has nothing at all yet"
    if len(there) > MOST_NAMED:
        return f"the lake has {what} of {name}{meant} It has {len(there)} instruments: `tapeline lake ls` lists them"
    return f"the lake has {what} of {name}{meant} It has {', '.join(sorted(there))}"

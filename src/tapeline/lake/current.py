"""A catalogue that goes up to now, for readers that go by files: bars and books.

What the session that records has not committed is asked of it (`lake/tail.py`) and written as Parquet into a temporary folder that
ends with the question; the catalogue has those files beside the lake's own. The tail comes before the catalogue, and is joined to it
by the rule there, so every event is in it once. Where nobody records no session goes on: all of them count as finished, also one
that was killed.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tapeline.clock import SECOND
from tapeline.events import TYPES
from tapeline.instruments import split_id
from tapeline.lake import tables, tail
from tapeline.lake.catalogue import Catalogue, fresh, read
from tapeline.lake.layout import Partition, date_text
from tapeline.lake.state import LakeFile
from tapeline.lake.tables import Part
from tapeline.lake.tail import Tail

T = TypeVar("T")


SKEW = 30 * SECOND
"""A venue's clock and ours are no farther apart, where what is committed shall tell that something earlier is, too."""


def current(
    data: Path, instrument: str, kinds: Collection[str], function: Callable[[Catalogue], T], before: int | None = None
) -> tuple[T, int | None]:
    """`function(catalogue)`, as `catalogue.fresh`; and how far the catalogue goes, as `sql.Answer.reach` says it.

    The catalogue has the last seconds of this instrument and these kinds only. `before`: nothing is asked from that time (ns) on, so
    that the session that records need not be asked where all of that is committed: for what it would have to put together.
    Raises as `fresh`.
    """
    last = (
        tail.Tail() if before is not None and _settled(data, instrument, kinds, before) else tail.ask(data, kinds, instrument)
    )
    alive = last is None or tail.recording(data)
    with ExitStack() as stack:
        return fresh(data, partial(_answered, stack, last, alive, instrument, function))


def _settled(data: Path, instrument: str, kinds: Collection[str], before: int) -> bool:
    """Whether something is committed that came surely later: commits take all events of some frames."""
    venue, symbol = split_id(instrument)
    found = (f.last_ts for f in read(data).files if f.kind in kinds and (f.venue, f.symbol) == (venue, symbol))
    return max(found, default=0) >= before + SKEW


def _answered(
    stack: ExitStack,
    last: Tail | None,
    alive: bool,
    instrument: str,
    function: Callable[[Catalogue], T],
    catalogue: Catalogue,
) -> tuple[T, int | None]:
    rows, whole = tail.joined(last or Tail(), catalogue)
    mine = {kind: _of(instrument, kind, table) for kind, table in rows.items()}
    files: list[LakeFile] = []
    if any(len(table) for table in mine.values()):
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tapeline-")))
        files = [file for kind, table in mine.items() for file in _written(folder, instrument, kind, table)]
    reach = None if last is not None and whole else max((f.last_ts for f in catalogue.files), default=0)
    sessions = catalogue.sessions
    if not alive:
        sessions = {name: msgspec.structs.replace(known, finished=True) for name, known in sessions.items()}
    return function(msgspec.structs.replace(catalogue, files=(*catalogue.files, *files), sessions=sessions)), reach


def _of(instrument: str, kind: str, table: pa.Table) -> pa.Table:
    """The rows of an instrument; of statuses also those of its venue's whole connections."""
    names = table["instrument_id"].cast(pa.string())
    mine = pc.equal(names, instrument)
    if kind == "status":
        whole = pc.and_(pc.equal(names, ""), pc.equal(table["venue_id"].cast(pa.string()), split_id(instrument)[0]))
        mine = pc.or_(mine, whole)
    return table.filter(mine)


def _written(folder: Path, instrument: str, kind: str, table: pa.Table) -> Iterator[LakeFile]:
    """A file an instrument (or none) and day. Raises OSError."""
    venue, symbol = split_id(instrument)
    names = table["instrument_id"].cast(pa.string())
    numbers = count()
    for name, under in ((instrument, symbol), ("", "")):
        rows = table.filter(pc.equal(names, name)).unify_dictionaries().combine_chunks()
        if len(rows):
            for day, part in tables.by_day(TYPES[kind], rows):
                path = folder / f"{kind}-{next(numbers)}.parquet"
                tables.write(part, path)
                yield tables.described(Part(Partition(kind, venue, under, date_text(day)), part), path.as_posix(), 0)

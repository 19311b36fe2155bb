"""The many small files of a live session become few large ones: what to merge (`plan`, pure), and merging (`Compactor`).

Files of one folder (`kind/venue/instrument/date`) have levels. Commits make level 0. `fan` files of one level become one of the
next, so that an event is written again once a level, and there are log_fan(files) levels. When its day is over a folder becomes one
file of the level DAY, or several where it is larger than `MOST_BYTES`, each of them a stretch of time. What comes later still (a
repair, a late trade) is left beside it until it is an eighth of the day's smallest file, or `fan` files: rewriting a whole day for
each straggler would cost more than it gives.

The level is in the file's name (`level1-….parquet`, `day-….parquet`), which never comes again. Rows are the very rows of the files
that went in, sorted by (ts_event, session_id, n); of bars, every revision.

A file that cannot be read is left where it is, told once and counted; the others of its folder are merged without it.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tapeline.errors import IntegrityError
from tapeline.events import TYPES, Bar
from tapeline.lake import merging, tables
from tapeline.lake.layout import unique_name
from tapeline.lake.state import Intent, LakeFile
from tapeline.lake.store import Store

MOST_BYTES = 256 << 20
MOST_FILES = 100
DAY = 99
_STRAGGLERS = 8
_NAME = re.compile(r"/(?:level(\d+)|day)-[0-9a-f]{32}\.parquet$")


class Job(msgspec.Struct, frozen=True):
    """Files of one folder that become one file of `level`."""

    files: tuple[LakeFile, ...]
    level: int


class Done(msgspec.Struct, frozen=True):
    """`bytes_before`: of the files that went in."""

    file: LakeFile
    files: int
    bytes_before: int


def level(file: LakeFile) -> int:
    found = _NAME.search(file.path)
    if found is None:
        return 0
    return int(found[1]) if found[1] else DAY


def plan(files: Iterable[LakeFile], *, today: str, fan: int, left: Collection[str] = ()) -> list[Job]:
    """What to merge now, a folder after the other. Days before `today` (YYYY-MM-DD) are over. `left`: paths not to be touched."""
    usable = [f for f in files if f.kind in TYPES and f.path not in left]
    ordered = sorted(usable, key=lambda f: (_folder(f), f.first_ts, f.path))
    jobs: list[Job] = []
    for (*_, date), group in groupby(ordered, key=_folder):
        planned = _closed_day if date < today else _open_day
        jobs += planned(list(group), fan)
    return jobs


def _folder(file: LakeFile) -> tuple[str, str, str, str]:
    return file.kind, file.venue, file.symbol, file.date


def _open_day(files: list[LakeFile], fan: int) -> list[Job]:
    jobs = []
    for at in sorted({level(f) for f in files} - {DAY}):
        chosen, _ = _bins([f for f in files if level(f) == at])
        first = chosen[0]
        if len(first) >= fan or (len(chosen) > 1 and len(first) > 1):
            jobs.append(Job(tuple(first), at + 1))
    return jobs


def _closed_day(files: list[LakeFile], fan: int) -> list[Job]:
    days = [f for f in files if level(f) == DAY]
    rest = [f for f in files if level(f) != DAY]
    if days and len(rest) < fan:
        least = min(days, key=lambda f: f.bytes)
        size = sum(f.bytes for f in rest)
        worth = size * _STRAGGLERS >= least.bytes and size + least.bytes <= MOST_BYTES
        return [Job((least, *rest), DAY)] if rest and worth else []
    chosen, crowded = _bins(rest)
    at = max(map(level, rest), default=0) + 1 if crowded else DAY
    return [Job(tuple(group), at) for group in chosen if len(group) > 1]


def _bins(files: Sequence[LakeFile]) -> tuple[list[list[LakeFile]], bool]:
    """The files, in their order, in groups of at most MOST_BYTES and MOST_FILES; whether one ended for being many."""
    groups: list[list[LakeFile]] = []
    size, crowded = 0, False
    for file in files:
        many = bool(groups) and len(groups[-1]) >= MOST_FILES
        if not groups or many or size + file.bytes > MOST_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size, crowded = size + file.bytes, crowded or many
    return groups, crowded


class Compactor:
    """Carries out jobs, one at a time. `pause` is called after each row group; what it raises ends the job without a trace."""

    def __init__(self, store: Store, pause: Callable[[], None]) -> None:
        self.store, self._pause = store, pause

    def do(self, job: Job) -> Done:
        """Raises Damaged where a file cannot be read, Outdated where one has gone meanwhile, OSError where the result cannot be
        written, IntegrityError where it would not hold the same number of rows; the lake is unchanged then.
        """
        one = job.files[0]
        name = unique_name("day" if job.level == DAY else f"level{job.level}")
        intent = Intent(f"{name}.tmp", f"{Path(one.path).parent.as_posix()}/{name}")
        path = self.store.pending / intent.pending
        try:
            rows = merging.write_merged(self._inputs(job), self._schema(job), path, self._pause)
            _check(job, rows)
            made = LakeFile(
                intent.final,
                *_folder(one),
                first_ts=min(f.first_ts for f in job.files),
                last_ts=max(f.last_ts for f in job.files),
                rows=rows,
                bytes=path.stat().st_size,
                compacted=True,
            )
        except BaseException:
            self.store.discard([intent.pending])
            raise
        self.store.swap(job.files, [(intent, made)])
        return Done(made, len(job.files), sum(f.bytes for f in job.files))

    def _inputs(self, job: Job) -> list[merging.Input]:
        """A bar's span in the list is of its label, which says nothing of `ts_event`."""
        spans = job.files[0].kind != tables.tag(Bar)
        return [
            merging.Input(self.store.root / f.path, f.first_ts if spans else None, f.last_ts if spans else None)
            for f in job.files
        ]

    def _schema(self, job: Job) -> pa.Schema:
        """Today's schema. Metadata: the session where all rows are of one; simulated where any file is."""
        about = [self._metadata(f) for f in job.files]
        sessions = {m.get(b"tapeline.session") for m in about}
        simulated = any(m.get(b"tapeline.simulated") == b"true" for m in about)
        own: dict[Any, Any] = {b"tapeline.simulated": b"true" if simulated else b"false"}
        if len(sessions) == 1 and None not in sessions:
            own[b"tapeline.session"] = sessions.pop()
        schema = tables.file_schema(TYPES[job.files[0].kind])
        return schema.with_metadata({**schema.metadata, **own})

    def _metadata(self, file: LakeFile) -> dict[bytes, bytes]:
        path = self.store.root / file.path
        with merging.damage(path):
            found: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
        return found


def _check(job: Job, rows: int) -> None:
    expected = sum(f.rows for f in job.files)
    if rows != expected:
        place = Path(job.files[0].path).parent.as_posix()
        raise IntegrityError(f"lake: files of {place} hold {rows} rows, not {expected} as the list says: left as they are")

"""An older lake brought up to the version that this program writes, when its sink opens it and before anything else happens.

`STEPS[v]` turns a lake of version `v` into one of `v + 1`. A step rewrites files in place, one after the other, each durable before
it takes the old one's name; it may be killed at any moment and begun again, and passes over what it has done already. Only when all
are done, one transaction writes the new version. Until then readers of the list are refused by the version; whoever globs
sees whole files of the old or the new columns. A lake of a newer version is refused (`lake/state.py`).

    1 → 2   files got the column `session_id` (until then their name said it), the state the list of files
"""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from tapeline.events import TYPES
from tapeline.lake import tables
from tapeline.lake.files import sync_file, sync_folder
from tapeline.lake.layout import PENDING_DIR, STATE_FILE, partition_of
from tapeline.lake.merging import Damaged, damage
from tapeline.lake.state import LakeFile, create, record

log = structlog.get_logger("tapeline.lake")
_NAME = re.compile(r"(?P<session>.+)-\d+-\d+\.parquet")
_VERSION_KEY = b"tapeline.lake"
Step = Callable[[Path, sqlite3.Connection], int]


def migrate(lake: Path) -> int:
    """Bring the lake at `lake` up to date where it is older; the number of files that it has. Raises OSError,
    sqlite3.Error.
    """
    if not (lake / STATE_FILE).exists():
        return 0
    files = 0
    with closing(sqlite3.connect(lake / STATE_FILE, timeout=5.0, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = FULL")
        while (step := STEPS.get(version := db.execute("PRAGMA user_version").fetchone()[0])) is not None:
            files = step(lake, db)
            log.info("the lake is of a new version now", was=version, now=version + 1, files=files)
    return files


def _sessions_into_files(lake: Path, db: sqlite3.Connection) -> int:
    """1 → 2. Files that were committed and not yet moved are moved first."""
    for pending, final in db.execute("SELECT pending, final FROM intents").fetchall():
        if (lake / PENDING_DIR / pending).exists():
            (lake / final).parent.mkdir(parents=True, exist_ok=True)
            (lake / PENDING_DIR / pending).replace(lake / final)
    listed, paths = [], sorted(lake.glob("kind=*/venue=*/instrument=*/date=*/*.parquet"))
    log.info("the lake is being brought up to date, some hundred files a second", files=len(paths))
    for path in paths:
        try:
            listed.append(_with_session(lake, path))
        except Damaged as e:
            log.warning("a file of the lake is left out of it; `tapeline repair` makes it anew from the tape", reason=str(e))
    for folder in {(lake / f.path).parent for f in listed}:
        sync_folder(folder)
    db.execute("BEGIN IMMEDIATE")
    try:
        create(db)
        record(db, listed)
        db.execute("DELETE FROM intents")
        db.execute("PRAGMA user_version = 2")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
    return len(listed)


def _with_session(lake: Path, path: Path) -> LakeFile:
    """The file, rewritten where it has no session ids yet. Raises Damaged, OSError."""
    place = partition_of(path.parent.relative_to(lake).as_posix())
    with damage(path):
        table = pq.ParquetFile(path).read()
        about = table.schema.metadata or {}
        old = _VERSION_KEY not in about
        if old:
            table = _named(table, place.kind, path.name)
    if old:
        staged = lake / PENDING_DIR / f"migrate-{path.name}.tmp"
        tables.write(table, staged)
        sync_file(staged)
        staged.replace(path)
    return tables.described(tables.Part(place, table), path.relative_to(lake).as_posix(), path.stat().st_size)


def _named(table: pa.Table, kind: str, name: str) -> pa.Table:
    """The table with today's columns. Raises ValueError where the file is none of ours."""
    found = _NAME.fullmatch(name)
    if kind not in TYPES or found is None:
        raise ValueError("neither its folder nor its name is one that a sink gives")
    schema = tables.file_schema(TYPES[kind])
    session = tables.constant(unquote(found["session"]), len(table))
    table = table.append_column(schema.field("session_id"), session)
    return tables.conform(table, schema.with_metadata({**(table.schema.metadata or {}), **schema.metadata}))


STEPS: dict[int, Step] = {1: _sessions_into_files}

"""The last seconds: what a running session has and the lake does not yet, for whoever asks beside it.

A session that feeds the lake listens on a socket of this machine; `_tail` in the lake says where. Both are for their owner alone.
Whoever asks names kinds of events, and gets

    one line of JSON    `Head`: the chunks of frames that are in memory, in order, and how long each table behind it is
    Arrow streams       one a kind and session, with the files' columns; `n` counts a session's events from its first chunk's first

The rule that makes every event appear once, while commits go on:  the tail first, then the catalogue (`joined`).
    a chunk that ends at or before the position of the catalogue   is in its files: left out
    the chunk that begins right after it, and those behind         are not; their numbers go on where the catalogue's end
    anything else (a hole: the sink catches up from the tape)      cannot be numbered: left out with all behind it, and said

A commit takes whole chunks, so the position never lies inside one. Without a session that answers, the lake is what is committed.
Where no such socket can be made (Windows), that is so beside a running session, too, and is said.
"""

import asyncio
import os
import socket
import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from tapeline.engine.bus import Batch
from tapeline.events import TYPES, Event
from tapeline.lake import tables
from tapeline.lake.catalogue import Catalogue
from tapeline.lake.layout import root
from tapeline.sinks.storable import storable

log = structlog.get_logger("tapeline.lake")
DOOR = "_tail"
LONGEST_ADDRESS = 100
"""Bytes of a socket's path that every system takes."""
SECONDS = 10.0
AT_ONCE = 4
MOST_HEAD = 4 * 1024 * 1024


class Door(msgspec.Struct, frozen=True):
    """Where to ask: the content of `_tail`. An empty address: there is a session, but it cannot be asked."""

    pid: int
    address: str


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """`events` events of the frames `first_seq`..`seq` of a session; a commit takes it whole."""

    session: str
    first_seq: int
    seq: int
    events: int


class Part(msgspec.Struct, frozen=True, array_like=True):
    session: str
    kind: str
    bytes: int


class Head(msgspec.Struct, frozen=True):
    """`whole`: the chunks go up to now; where False, a part that memory could not hold is being fetched from the tape."""

    chunks: list[Chunk]
    parts: list[Part]
    whole: bool


class Ask(msgspec.Struct, frozen=True):
    """`instrument`: of this one alone, and what is said of no instrument; empty: of all."""

    kinds: list[str]
    instrument: str = ""


class Tail(msgspec.Struct, frozen=True):
    """`tables`: by session and kind. Their `n` is relative to the session's first chunk."""

    chunks: list[Chunk] = []
    tables: dict[tuple[str, str], pa.Table] = {}
    whole: bool = True


Source = Callable[[], tuple[list[Batch], bool]]
"""`SinkRunner.tail` of the lake's runner."""


def made(batches: Sequence[Batch], kinds: Collection[str], instrument: str = "", *, whole: bool) -> Tail:
    """The tables of these kinds, as an `Ask` wants them. Takes a while where there are many events: not to be called on the loop."""
    wanted = {TYPES[kind]: kind for kind in kinds if kind in TYPES}
    rows: dict[tuple[str, type[Event]], tuple[list[Event], list[int]]] = {}
    counts: dict[str, int] = {}
    for batch in batches:
        at = counts.get(batch.session, 0)
        for n, event in enumerate(batch.events, at):
            if (event_type := type(event)) in wanted and (not instrument or event.instrument in ("", instrument)):
                events, numbers = rows.setdefault((batch.session, event_type), ([], []))
                events.append(event)
                numbers.append(n)
        counts[batch.session] = at + len(batch.events)
    chunks = [Chunk(b.session, b.first_seq, b.seq, len(b.events)) for b in batches]
    found = {(session, wanted[kind]): _table(session, kind, *columns) for (session, kind), columns in rows.items()}
    return Tail(chunks, found, whole)


def _table(session: str, event_type: type[Event], events: list[Event], numbers: list[int]) -> pa.Table:
    try:
        return tables.mixed(session, event_type, events, numbers)
    except (OverflowError, ValueError):
        return tables.mixed(session, event_type, [storable(e) for e in events], numbers)


def joined(tail: Tail, catalogue: Catalogue) -> tuple[dict[str, pa.Table], bool]:
    """Kind → the rows that are not in the catalogue's files, with their final numbers; whether they go up to now."""
    whole, found = tail.whole, dict[str, list[pa.Table]]()
    for session in dict.fromkeys(chunk.session for chunk in tail.chunks):
        first, last, base, gapless = _beyond(session, tail.chunks, catalogue)
        whole = whole and gapless
        for (of, kind), table in tail.tables.items():
            if of == session and last > first:
                found.setdefault(kind, []).append(_renumbered(table, first, last, base))
    return {kind: pa.concat_tables(parts) for kind, parts in found.items()}, whole


def _beyond(session: str, chunks: Sequence[Chunk], catalogue: Catalogue) -> tuple[int, int, int, bool]:
    """Of a session's events, by their places in the tail: the first and one past the last that the catalogue lacks; the first one's
    number; whether nothing is missing in between.
    """
    stands = catalogue.sessions.get(session)
    follows, base = (0, 0) if stands is None else (stands.seq + 1, stands.events)
    first = end = 0
    for chunk in chunks:
        if chunk.session != session:
            continue
        if chunk.seq < follows and first == end:
            first = end = end + chunk.events
        elif chunk.first_seq == follows:
            follows, end = chunk.seq + 1, end + chunk.events
        else:
            return first, end, base, False
    return first, end, base, True


def _renumbered(table: pa.Table, first: int, last: int, base: int) -> pa.Table:
    n = table["n"]
    kept = table.filter(pc.and_(pc.greater_equal(n, first), pc.less(n, last)))
    at = kept.schema.get_field_index("n")
    return kept.set_column(at, kept.schema.field(at), pc.add(kept["n"], base - first)).replace_schema_metadata(None)


def ask(data: Path, kinds: Collection[str], instrument: str = "") -> Tail | None:
    """The tail of the session that records into `data` now; an empty one where none does, None where it does not answer."""
    door = _door(data)
    if door is None:
        return Tail()
    if not hasattr(socket, "AF_UNIX"):
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(SECONDS)
            peer.connect(door.address)
            peer.sendall(msgspec.json.encode(Ask(sorted(kinds), instrument)) + b"\n")
            with peer.makefile("rb") as stream:
                head = msgspec.json.decode(stream.readline(MOST_HEAD), type=Head)
                found = {}
                for part in head.parts:
                    if len(raw := stream.read(part.bytes)) < part.bytes:
                        raise ConnectionResetError
                    found[part.session, part.kind] = pa.ipc.open_stream(raw).read_all()
    except (OSError, msgspec.DecodeError):
        return None if _alive(door.pid) and _door(data) == door else Tail()
    return Tail(head.chunks, found, head.whole)


def recording(data: Path) -> bool:
    """Whether a session that feeds the lake under `data` runs on this machine."""
    door = _door(data)
    return door is not None and _alive(door.pid)


def _door(data: Path) -> Door | None:
    try:
        return msgspec.json.decode((root(data) / DOOR).read_bytes(), type=Door)
    except (OSError, msgspec.DecodeError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class TailServer:
    """`async with TailServer(data, runner.tail):` while a session feeds the lake. At most `AT_ONCE` are answered at a time."""

    def __init__(self, data: Path, source: Source) -> None:
        self._place, self._source = root(data), source
        self._door = self._place / DOOR
        self._address = ""
        self._server: asyncio.AbstractServer | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> "TailServer":
        """Never fails: a session that cannot be asked records all the same, and its door without an address says so."""
        listener = self._bound((self._place / f"{DOOR}.sock").absolute()) or self._bound(self._elsewhere())
        if listener is not None:
            self._server = await asyncio.start_unix_server(self._serve, sock=listener)
        self._write(Door(os.getpid(), self._address))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self._clear()

    def _bound(self, address: Path) -> socket.socket | None:
        """A socket there; None where the path is too long, or the system or the file system knows no such thing."""
        if not hasattr(socket, "AF_UNIX") or len(os.fsencode(address)) > LONGEST_ADDRESS:
            return None
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            address.unlink(missing_ok=True)  # left by a crash: the lake's lock says that nobody else listens there
            listener.bind(str(address))
            address.chmod(0o600)
        except OSError as e:
            listener.close()
            log.warning("no socket for queries can be made", path=str(address), reason=str(e))
            return None
        self._address = str(address)
        return listener

    def _elsewhere(self) -> Path:
        """In a folder of our own that nobody else can look into."""
        self._folder = tempfile.TemporaryDirectory(prefix="tapeline-")
        return Path(self._folder.name) / f"{DOOR}.sock"

    def _clear(self) -> None:
        with suppress(OSError):
            self._door.unlink(missing_ok=True)
            if self._address:
                Path(self._address).unlink(missing_ok=True)
        if self._folder is not None:
            self._folder.cleanup()

    def _write(self, door: Door) -> None:
        new = self._door.with_suffix(".new")
        try:
            new.touch(0o600)
            new.write_bytes(msgspec.json.encode(door))
            new.replace(self._door)
        except OSError as e:
            log.warning("queries beside this session will see what is committed only", reason=str(e))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, ValueError):  # whoever asks is gone, or talks nonsense
            async with asyncio.timeout(SECONDS), self._turns:
                ask = msgspec.json.decode(await reader.readline(), type=Ask)
                batches, whole = self._source()
                for piece in await asyncio.to_thread(_answer, batches, ask, whole=whole):
                    writer.write(piece)
                    await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _answer(batches: Sequence[Batch], ask: Ask, *, whole: bool) -> list[bytes | memoryview]:
    tail = made(batches, ask.kinds, ask.instrument, whole=whole)
    parts: list[Part] = []
    streams: list[memoryview] = []
    for (session, kind), table in tail.tables.items():
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
        streams.append(memoryview(out.getvalue()))
        parts.append(Part(session, kind, len(streams[-1])))
    return [msgspec.json.encode(Head(tail.chunks, parts, tail.whole)) + b"\n", *streams]

"""`tapeline tape`: look at the tape, print it, prove it, compress it, make room. Only `seal` and `prune` change anything.

`cat --raw` prints what `tapeline decode` reads: `<recv_ns> <raw message>` a line, received text messages only. A line break
inside a message becomes a space: in JSON it can only stand between tokens.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tapeline.cli import context, output, tape_keeping
from tapeline.clock import iso, parse_iso
from tapeline.errors import IntegrityError, UsageError
from tapeline.frames import Frame, FrameKind
from tapeline.tape import layout, reader

app = App(name="tape", help="List, print, verify and seal tape segments.", default_parameter=Parameter(negative=()))

Data = Annotated[Path | None, Parameter(help="Data directory; that of the settings where none is given.", show_default=False)]
_BREAKS = bytes.maketrans(b"\r\n", b"  ")


def _root(data: Path | None) -> Path:
    root = Path(context.load({"data": None if data is None else str(data)}).settings.data)
    if data is not None and not root.is_dir():
        raise UsageError(f"there is no data directory {data}")
    return root


@app.command
def ls(data: Data = None, /, *, json: context.Json = False) -> None:
    """Sessions on the tape: when, how many frames, how many bytes, what is missing."""
    found = reader.sessions(_root(data))
    if json:
        output.write_json(found)
        return
    rows = [("session", "from", "to", "frames", "bytes", "segments", "state")]
    rows += [(*_span(s), str(s.frames), str(s.bytes), str(len(s.segments)), _state(s)) for s in found]
    output.write(output.columns(rows))


def _span(s: reader.SessionInfo) -> tuple[str, str, str]:
    return s.id, _second(s.first_ts), _second(s.last_ts)


def _second(ns: int) -> str:
    return iso(ns)[:19] + "Z" if ns else "-"


def _state(s: reader.SessionInfo) -> str:
    notes = [
        "recording" if s.live else "emptied" if not s.segments else "sealed" if all(g.sealed for g in s.segments) else "open"
    ]
    if s.holes:
        notes.append(f"missing {sum(last - first + 1 for first, last in s.holes)} frames")
    if s.removed >= 0:
        notes.append(f"removed to frame {s.removed}")
    if s.torn_bytes and not s.live:
        notes.append(f"torn {s.torn_bytes} bytes")
    if damaged := sum(g.damaged_bytes for g in s.segments):
        notes.append(f"damaged {damaged} bytes")
    return ", ".join(notes)


@app.command
def cat(
    data: Data = None,
    /,
    *,
    session: Annotated[str | None, Parameter(help="This session only.", show_default=False)] = None,
    after: Annotated[int, Parameter(help="Only frames past this seq; needs --session.")] = -1,
    start: Annotated[
        str | None, Parameter(help="Only frames received from this time on, ISO 8601.", show_default=False)
    ] = None,
    end: Annotated[str | None, Parameter(help="Only frames received before this time.", show_default=False)] = None,
    kind: Annotated[
        list[str] | None, Parameter(help="Only frames of this kind: recv, http, opened …; repeatable.", show_default=False)
    ] = None,
    limit: Annotated[int | None, Parameter(help="At most so many frames.", show_default=False)] = None,
    raw: Annotated[bool, Parameter(help="Received messages as `tapeline decode` reads them.", show_default=False)] = False,
) -> None:
    """Print frames, one a line: time, seq, kind, connection, text. Stops with exit code 5 at damage."""
    root = _root(data)
    if after >= 0 and session is None:
        raise UsageError("--after counts within one session: give --session too")
    names = [session] if session is not None else layout.session_ids(root)
    kinds = {FrameKind.RECV} if raw else {_kind(k) for k in kind or ()}
    left = sys.maxsize if limit is None else limit
    for name in names:
        for seq, frame in _frames(root, name, after, start, end):
            if left <= 0:
                return
            if kinds and frame.kind not in kinds:
                continue
            left -= 1
            sys.stdout.buffer.write(_raw(frame) if raw else _line(seq, frame))


def _frames(root: Path, session: str, after: int, start: str | None, end: str | None) -> Iterator[tuple[int, Frame]]:
    return reader.read(root, session, after=after, start_ns=_time("--start", start), end_ns=_time("--end", end))


def _time(option: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_iso(text)
    except ValueError:
        raise UsageError(f"{option} {text}: not a time; write it as 2026-11-20T09:00 or 2026-11-20T09:00:00.5Z") from None


def _kind(name: str) -> FrameKind:
    try:
        return FrameKind[name.upper()]
    except KeyError:
        raise UsageError(f"--kind {name}: there are {', '.join(k.name.lower() for k in FrameKind)}") from None


def _raw(frame: Frame) -> bytes:
    return b"%d %s\n" % (frame.ts_recv, frame.data.translate(_BREAKS))


def _line(seq: int, frame: Frame) -> bytes:
    try:
        name = FrameKind(frame.kind).name.lower()
    except ValueError:
        name = str(frame.kind)
    text = frame.data.decode("utf-8", "backslashreplace") if frame.kind != FrameKind.BINARY else repr(frame.data)[2:-1]
    return f"{iso(frame.ts_recv)} {seq} {name} {frame.conn} {_one_line(text)}".rstrip().encode() + b"\n"


def _one_line(text: str) -> str:
    """What would break the line, or steer the terminal, is shown instead of done."""
    return (
        "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text) if not text.isprintable() else text
    )


@app.command
def verify(data: Data = None, /, *, json: context.Json = False) -> None:
    """Prove every checksum, the order of seqs and times; name holes and torn tails. Exit code 5 where something is found."""
    root = _root(data)
    findings = reader.verify(root)
    if not findings:
        found = reader.sessions(root)
        counts = len(found), sum(len(s.segments) for s in found), sum(s.frames for s in found)
        what = ", ".join(output.many(n, word) for n, word in zip(counts, ("session", "segment", "frame"), strict=True))
        sys.stderr.write(f"tapeline: the tape holds together: {what}\n")
    for s in reader.sessions(root):
        if s.removed >= 0:
            sys.stderr.write(f"tapeline: session {s.id}: frames 1 to {s.removed} were removed to make room\n")
    if json:
        output.write_json(findings)
    else:
        output.write("".join(f"{finding}\n" for finding in findings))
    if findings:
        raise IntegrityError(f"the tape does not hold together, findings: {len(findings)}")


@app.command
def seal(
    data: Data = None,
    /,
    *,
    session: Annotated[str | None, Parameter(help="This session only.", show_default=False)] = None,
) -> None:
    """Compress the open segments that crashes left behind. Sessions being written are left alone."""
    results = reader.seal(_root(data), session)
    for r in results:
        torn = f", {r.torn_bytes} torn bytes dropped" if r.torn_bytes else ""
        output.write(r.error + "\n" if r.error else f"{r.path}: {r.frames} frames, {r.before} -> {r.after} bytes{torn}\n")
    if failed := sum(bool(r.error) for r in results):
        raise IntegrityError(f"segments that stay open: {failed}")


@app.command
def prune(
    data: Data = None,
    /,
    *,
    days: Annotated[
        float | None, Parameter(help="Remove what is older; `keep.tape_days` by default.", show_default=False)
    ] = None,
    gb: Annotated[
        float | None, Parameter(help="Remove the oldest past this size, in GB; `keep.tape_gb` by default.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, Parameter(help="Only say what would be removed.", show_default=False)] = False,
) -> None:
    """Remove old segments that every sink which is on has committed. A running Tapeline does it by itself."""
    settings = context.load({"data": None if data is None else str(data), "keep.tape_days": days, "keep.tape_gb": gb}).settings
    if not (settings.keep.tape_days or settings.keep.tape_gb):
        raise UsageError("say what to keep: --days or --gb, or set keep.tape_days or keep.tape_gb")
    results = tape_keeping.prune_once(_root(data), settings, dry_run=dry_run)
    for r in results:
        output.write(f"{tape_keeping.words(r, dry_run=dry_run)}\n")
    if failed := sum(bool(r.error) for r in results):
        raise IntegrityError(f"sessions of which nothing could be removed: {failed}")

"""Does it hold together? Tape, lake and SQLite of one data directory, proved against each other.

    1. The tape: every checksum, the order of frames, holes (`tape.checking`).
    2. Each session is played once from the tape through a fresh pipeline; from its events, without asking the pipeline what it
       thinks: trade ids, update ids, crossed books, delays, bars made again from the trades.
    3. The same events, numbered and made into rows, against what the lake and SQLite hold.

A hole, a lost connection, a crossed book that a `status` tells of is *noted*: the data say so themselves. What no status tells of is
*broken*, and so is a row too many, too few or different. Memory stays bounded: thinned samples, spans of ids, sums of hashes.
"""

from collections.abc import Callable, Collection
from itertools import pairwise
from pathlib import Path

import msgspec

from tapeline.audit.bars import BarsAgain
from tapeline.audit.ids import TradeIds, UpdateIds
from tapeline.audit.lake import LakeFiles, LakeRows
from tapeline.audit.report import Report
from tapeline.audit.sqlite import SqliteRows
from tapeline.audit.touch import Crossings, Delays
from tapeline.clock import SECOND
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import IntegrityError, TapelineError, UsageError
from tapeline.events import Bar, BookUpdate, Event, Quote, Status, Trade
from tapeline.frames import Frame, unpack_session
from tapeline.lake import catalogue
from tapeline.lake.catalogue import Catalogue
from tapeline.tape import reader

Progress = Callable[[int, int], None]
"""(frames done, frames in all)"""


def _nothing(_: int, __: int) -> None:
    pass


class _Instrument:
    """Everything that is looked at of one instrument in one session."""

    def __init__(self, name: str, delays: Delays, bars: BarsAgain) -> None:
        self.trades, self.updates, self.crossings = TradeIds(name), UpdateIds(name), Crossings(name)
        self.bars, self.delays = bars, delays
        self.seen: set[type[Event]] = set()

    def take(self, e: Event) -> None:
        kind = type(e)
        self.seen.add(kind)
        self.delays.take(e)
        if isinstance(e, BookUpdate):
            self.updates.book(e)
        elif isinstance(e, Quote):
            self.crossings.quote(e)
        elif isinstance(e, Trade):
            self.trades.trade(e)
            self.bars.trade(e)
        elif isinstance(e, Bar):
            self.bars.bar(e)
        elif isinstance(e, Status):
            if e.channel == "trades":
                self.trades.status(e)
                self.bars.status(e)
            else:
                self.updates.status(e)
                self.crossings.status(e)


class _Session:
    """One session while it is played. `delays` are those of all sessions, by instrument."""

    def __init__(self, pipeline: Pipeline, delays: dict[str, Delays]) -> None:
        self.pipeline, self._delays = pipeline, delays
        self.instruments: dict[str, _Instrument] = {}
        self.rejected = 0

    def take(self, events: list[Event]) -> None:
        for e in events:
            if not e.instrument:
                self._of_connection(e)
                continue
            found = self.instruments.get(e.instrument)
            if found is None:
                found = self.instruments[e.instrument] = self._new(e.instrument)
            found.take(e)

    def _new(self, name: str) -> _Instrument:
        late = self.pipeline.settings.late_seconds * SECOND
        known = (feed.registry.by_id.get(name) for feed in self.pipeline.feeds.values())
        bars = BarsAgain(name, late, inverse=any(i is not None and i.inverse for i in known))
        return _Instrument(name, self._delays.setdefault(name, Delays(name)), bars)

    def _of_connection(self, e: Event) -> None:
        """A connection that is lost, a hole in the tape: books of all its instruments begin anew."""
        if isinstance(e, Status):
            self.rejected += e.kind == "rejected"
            for one in self.instruments.values():
                one.updates.status(e)
                if e.channel == "tape" and e.kind == "gap":
                    one.trades.unrecorded(e)
                    one.bars.begin_anew()

    def judge(self, session: str, report: Report) -> None:
        for name, one in sorted(self.instruments.items()):
            if Trade in one.seen:
                lane = self.pipeline.lanes.get(name)
                one.trades.judge(session, report, None if lane is None or not lane.trades.numbered else lane.trades.ids[0])
            if BookUpdate in one.seen:
                one.updates.judge(session, report)
                one.crossings.judge(session, report)
            one.bars.judge(session, report)
        if self.rejected:
            text = f"{self.rejected} messages could not be read; a status tells of each, and they are on the tape"
            report.add("messages", "noted", text, session=session, count=self.rejected)
        if faults := self.pipeline.faults:
            text = f"{faults} frames met a fault of Tapeline's own: please report it with `tapeline tape cat`"
            report.add("messages", "broken", text, session=session, count=faults)


def audit(data: Path, progress: Progress = _nothing) -> Report:
    """Everything under `data`. Raises UsageError where there is neither tape nor lake, TapeError where a file cannot be read."""
    return _Audit(data).run(progress)


class _Audit:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.damaged: set[str] = set()  # sessions of which the tape lacks something that it does not tell of
        unreadable = ""
        try:
            self.kept = _catalogue(data)  # before the tape: what is committed meanwhile is not asked for
        except IntegrityError as e:
            self.kept, unreadable = None, str(e)
        self._sqlite = SqliteRows(data)  # likewise
        self._files: LakeFiles | None = None
        self.found = reader.sessions(data)
        if not self.found and self.kept is None and not unreadable:
            raise UsageError(f"there is neither tape nor lake in {data}: name the data directory, as in `tapeline verify data`")
        self.report = Report(data=str(data), sessions=len(self.found))
        if unreadable:
            self.report.add("lake", "broken", unreadable)
        self._delays: dict[str, Delays] = {}
        self._wanted: list[LakeRows] = []

    def run(self, progress: Progress) -> Report:
        report, total = self.report, sum(s.frames for s in self.found if s.removed < 0)
        self._tape()
        if self.kept is not None:
            self._files = LakeFiles(self.data, report)
        for info in self.found:
            if info.removed >= 0:
                text = f"frames 1 to {info.removed} were removed to make room: what was made of it cannot be proved any more"
                report.add("tape", "noted", text, session=info.id)
            elif info.frames:
                self._play(info, lambda: progress(report.frames, total))
        report.latency = [one for d in self._delays.values() if (one := d.latency()) is not None]
        report.instruments = sorted(self._delays)
        whole = {s.id: s.last_seq for s in self.found if s.frames and s.removed < 0 and s.id not in self.damaged}
        self._sqlite.compare(whole, report)
        if self.kept is not None and self._files is not None:
            self._lake(self.kept, self._files)
        return report

    def _tape(self) -> None:
        findings = reader.verify(self.data)
        for finding in findings:
            self.report.add("tape", "noted" if finding.noted else "broken", str(finding), session=finding.session)
        self.damaged = {f.session for f in findings if not f.noted}
        bad = {f.session for f in findings}
        for info in self.found:
            if info.id not in bad:
                held = f"{info.frames} frames, {info.bytes} bytes in {len(info.segments)} segment(s)"
                text = f"{held}: every checksum holds, no frame is missing"
                self.report.add("tape", "holds", text, session=info.id, count=info.frames)

    def _play(self, info: reader.SessionInfo, progress: Callable[[], None]) -> None:
        committed = None if self.kept is None else self.kept.sessions.get(info.id)
        rows = None if committed is None else LakeRows(info.id, committed)
        ends = {self._sqlite.reached.get(info.id, -1), -1 if committed is None else committed.seq}
        session: _Session | None = None
        for first, frames in reader.read_batches(self.data, info.id, on_damage=lambda _: None):
            if session is None:
                try:
                    session = _Session(Pipeline.of_session(frames[0]), self._delays)
                except (TapelineError, msgspec.MsgspecError, ValueError) as e:
                    self.report.add("tape", "broken", f"it cannot be played: {e}", session=info.id)
                    return
                if rows is not None:
                    rows.earlier = "metrics" not in unpack_session(frames[0].data).pipeline
            for seq, part in _cut(first, frames, ends):
                self._feed(info.id, session, seq, part, rows)
            progress()
        if session is not None:
            session.judge(info.id, self.report)
        if rows is not None and info.id in self.damaged:
            text = "not compared: its tape is damaged, and the lake may hold what that lacks"
            self.report.add("lake", "skipped", text, session=info.id)
        elif rows is not None:
            rows.flush()
            self._wanted.append(rows)

    def _feed(self, name: str, session: _Session, first: int, frames: list[Frame], rows: LakeRows | None) -> None:
        out: list[Event] = []
        pipeline = session.pipeline
        pipeline.feed_many(first, frames, out)
        pipeline.requests.clear()
        pipeline.notices.clear()
        session.take(out)
        last = first + len(frames) - 1
        self._sqlite.take(name, last, out)
        if rows is not None:
            rows.take(last, out)
        self.report.frames += len(frames)
        self.report.events += len(out)

    def _lake(self, kept: Catalogue, files: LakeFiles) -> None:
        rows = files.compare(self._wanted)
        only = sorted(kept.sessions.keys() - {s.id for s in self.found})
        if only:
            text = f"{len(only)} sessions are in the lake and no more on the tape: they cannot be proved against it"
            self.report.add("lake", "noted", text, count=len(only), details=tuple(only[:10]))
        for name in only if not files.retired else ():
            if lost := kept.sessions[name].events - rows[name]:
                text = f"{lost} of its {kept.sessions[name].events} events are neither in the lake nor on the tape any more"
                self.report.add("lake", "noted", text, session=name, count=lost)
        for info in self.found:
            committed = kept.sessions.get(info.id)
            if info.frames and (committed is None or committed.seq < info.last_seq):
                reached = -1 if committed is None else committed.seq
                text = f"the lake has frames up to {reached} of {info.last_seq}: the next start, or `tapeline repair`, adds the rest"
                self.report.add("lake", "noted", text, session=info.id)


def _cut(first: int, frames: list[Frame], ends: Collection[int]) -> list[tuple[int, list[Frame]]]:
    """The frames, numbered from `first`, in stretches of which one ends with each of these frames."""
    inner = {end + 1 - first for end in ends}
    bounds = sorted({0, len(frames)} | {at for at in inner if 0 < at < len(frames)})
    return [(first + a, frames[a:b]) for a, b in pairwise(bounds)]


def _catalogue(data: Path) -> Catalogue | None:
    try:
        return catalogue.read(data)
    except UsageError:
        return None


def check(report: Report) -> None:
    """Raises IntegrityError (exit 5) where something is broken."""
    if report.broken:
        raise IntegrityError(f"{len(report.broken)} things do not hold together in {report.data}; see above")

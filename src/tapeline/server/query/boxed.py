"""The process that answers queries for the server (`server/query/box.py` starts it): one at a time, each within its bounds.

    standard input     an `Ask` a line; its end is the server's end, however that came, and this process's
    standard output    a `Head` a line, then `Head.bytes` bytes, the body. The first is empty: ready

It has nothing of the server's: no sockets, no secrets, a lower priority. What it may cost beside DuckDB's own limits is the system's
to keep: address space (`lake/bounds.py`), processor time, no core file; and where memory runs out, the system's choice falls on it.
It keeps warm between two questions. One that has grown says so (`Head.spent`) and is replaced.
"""

import contextlib
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

import msgspec

from tapeline.clock import MICRO
from tapeline.errors import TapelineError, UsageError
from tapeline.lake import bounds, database, formats
from tapeline.lake.bounds import MEGABYTE
from tapeline.lake.folding import WORKERS
from tapeline.lake.lake import Lake
from tapeline.lake.sql import Answer, Limits, QueryError, QueryStopped, QueryTooBig, Question
from tapeline.server.query.boxed_past import past_of
from tapeline.server.query.piped import Ask, Head, Sql

NICE = 10
CPU_SECONDS = 5
"""Of processor time past the question's own before the system ends the process: the server should have done so."""
BODY = 4
"""How many times `query.answer_mb` the answer may be when it is written out."""
MARGIN = bounds.MARGIN_MB * MEGABYTE
HINT = "docs/lake.md tells the views and their columns"
NARROW = "narrow it by instrument and ts_event, or raise query."
_PR_SET_PDEATHSIG = 1
Pieces = list[bytes | memoryview]


def main() -> None:
    """Until standard input ends."""
    asks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):  # whoever prints spoils nothing
        os.dup2(nothing, standard)
    _humble()
    database.planning()
    queue: SimpleQueue[Ask] = SimpleQueue()
    threading.Thread(target=_listen, args=(asks, queue), daemon=True).start()
    first = bounds.size()
    _say(answers, Head(), [])
    while True:
        ask = queue.get()
        _processor(ask)
        head, pieces = answered(ask)
        _say(answers, msgspec.structs.replace(head, spent=head.spent or _grown(first, ask)), pieces)


def _humble() -> None:
    """What cannot be done here is not needed: the bounds are several."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "win32":
        return
    import resource

    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _listen(asks: BinaryIO, queue: "SimpleQueue[Ask]") -> None:
    """Always at the pipe, so that its end is seen amid a question."""
    for line in asks:
        queue.put(msgspec.json.decode(line, type=Ask))
    os._exit(0)


def _say(answers: BinaryIO, head: Head, pieces: Pieces) -> None:
    try:
        answers.write(msgspec.json.encode(head) + b"\n")
        answers.writelines(pieces)
        answers.flush()
    except OSError:  # the server has ended
        os._exit(0)


def _processor(ask: Ask) -> None:
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    most = used.ru_utime + used.ru_stime + ask.seconds * max(ask.threads, WORKERS) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (int(most) + 1, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _grown(first: int | None, ask: Ask) -> bool:
    """Whether it holds on to so much that the next question would begin with it."""
    now = bounds.size()
    return now is not None and first is not None and now - first > ask.memory_mb * MEGABYTE // 2


def answered(ask: Ask) -> tuple[Head, Pieces]:
    """The whole answer, or the error. Memory: the question's and its answer's; then what the answer needs to be written out."""
    try:
        bounds.cap(ask.memory_mb * MEGABYTE + ask.answer_bytes + MARGIN)
        head, pieces = _queried(ask, ask.what) if isinstance(ask.what, Sql) else past_of(ask)
    except TapelineError as e:
        return _head_of(e), []
    except MemoryError:
        return _too_big(ask), []
    except Exception as e:  # noqa: BLE001  told, and logged by the server
        trace = traceback.format_exc()
        text = f"{type(e).__name__} in the query"
        return Head(status=500, code="internal_error", text=text, hint="please report it", trace=trace, spent=True), []
    return msgspec.structs.replace(head, bytes=sum(len(memoryview(piece).cast("B")) for piece in pieces)), pieces


def _queried(ask: Ask, what: Sql) -> tuple[Head, Pieces]:
    limits = Limits(rows=what.rows, bytes=ask.answer_bytes, seconds=ask.seconds, memory_mb=ask.memory_mb, threads=ask.threads)
    answer = Lake(ask.data).ask(Question(what.sql, what.params, limits))
    bounds.cap((BODY + 2) * ask.answer_bytes + MARGIN)
    return Head(), rendered(answer, what.form, what.mode, BODY * ask.answer_bytes)


def _too_big(ask: Ask) -> Head:
    text = f"the query needs more memory than its {ask.memory_mb} MB: ask for less at a time"
    return Head(status=400, code="query_too_big", text=text, hint=f"{NARROW}memory_mb", spent=True)


def _head_of(error: TapelineError) -> Head:
    """The lake's errors in the API's words."""
    text = str(error)
    if isinstance(error, QueryError):
        return Head(status=400, code="bad_query", text=text, hint=HINT)
    if isinstance(error, QueryTooBig):
        return Head(status=400, code="query_too_big", text=text, hint=f"{NARROW}memory_mb")
    if isinstance(error, QueryStopped):
        return Head(status=408, code="query_stopped", text=text, hint=f"{NARROW}seconds")
    if isinstance(error, UsageError):
        return Head(status=404, code="no_lake", text=text, hint="the sink `lake` writes one")
    return Head(status=503, code="lake_broken", text=text)


def rendered(answer: Answer, form: str, mode: str, most: int) -> Pieces:
    """The body. Raises QueryTooBig past `most` bytes."""
    pieces: Pieces = []
    size = 0
    for piece in _pieces(answer, form, mode):
        pieces.append(piece)
        size += len(memoryview(piece).cast("B"))
        if size > most:
            raise QueryTooBig(f"the answer has more than {most // MEGABYTE} MB as {form}: ask for fewer rows or columns")
    return pieces


def _pieces(answer: Answer, form: str, mode: str) -> Any:
    table = answer.table
    head: dict[str, Any] = {"mode": mode, "truncated": answer.truncated, "up_to": answer.reach}
    if form in formats.BINARY:
        about = {f"tapeline.{name}": "" if value is None else str(value).lower() for name, value in head.items()}
        yield from formats.pieces(table.replace_schema_metadata({**about, "tapeline.time_unit": "ns"}), form)  # type: ignore[arg-type]  # one of them
        return
    table = formats.micros(table)
    if form == "csv":
        yield from formats.pieces(table, "csv")
        return
    head["up_to"] = None if answer.reach is None else answer.reach // MICRO
    columns = [{"name": field.name, "type": str(field.type)} for field in table.schema]
    yield formats.encode({**head, "columns": columns}).removesuffix(b"}") + b',"rows":'
    yield from formats.pieces(table, "json")
    yield b"}"


if __name__ == "__main__":
    main()

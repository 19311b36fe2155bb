"""`tapeline query`: one question to the lake, in SQL.

The answer goes to standard output, or to a file: a table where a person reads it, CSV where a program does. How many rows, how
long it took, what was cut and how far the data go is said on standard error. The question is asked in a thread, so that Ctrl-C ends
it at once.
"""

import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from tapeline.cli import complain, context
from tapeline.cli.options import Data, duration
from tapeline.cli.output import many
from tapeline.clock import iso
from tapeline.errors import ConfigError, UsageError
from tapeline.lake import bounds, formats, known
from tapeline.lake.lake import Answer, Lake, Limits, Question
from tapeline.lake.sql import QueryTooBig

TABLE_ROWS = 100
PATIENCE = 1.0
"""Seconds before a progress bar is worth the flicker."""
NAMED = re.compile(r"\binstrument\s*=\s*'([^']+)'|'([a-z][a-z-]*:[^'\s]+)'", re.IGNORECASE)
"""Texts of a query that name an instrument."""
Form = Literal["table", "csv", "json", "jsonl", "arrow", "parquet"]


def query(
    sql: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="The question; `-`: from standard input.", show_default=False)
    ] = "",
    *,
    data: Data = None,
    format: Annotated[  # noqa: A002  the option's name
        Form | None, Parameter(help="By default a table on a terminal, else by the file's name, else csv.", show_default=False)
    ] = None,
    output: Annotated[str | None, Parameter(name=("--output", "-o"), help="Write to this file.", show_default=False)] = None,
    limit: Annotated[
        int | None, Parameter(help=f"Most rows; 0: all. By default {TABLE_ROWS} in a table, else all.", show_default=False)
    ] = None,
    timeout: Annotated[str, Parameter(help="Longest time, as in 30s or 1h.")] = "10m",
    memory: Annotated[int, Parameter(help="Most memory in MB; 0: four fifths of the machine's.", show_default=False)] = 0,
    tables: Annotated[bool, Parameter(help="List the views, their columns and how many rows they have.")] = False,
) -> None:
    """Ask the lake in SQL: SELECT over trades, quotes, bars, book_updates, metrics, status and others; --tables lists them.

    Beside a running session the answer goes up to now.
    """
    lake = Lake(context.load({"data": data}).settings.data)
    if tables:
        _list(lake)
        return
    text = sys.stdin.read() if sql == "-" else sql
    if not text.strip():
        raise UsageError(
            "ask something, as in tapeline query 'select venue, count(*) from trades group by 1'; --tables lists the views"
        )
    form = _form(format, output)
    limits = Limits(rows=_rows(limit, form), seconds=duration(timeout, "--timeout"), memory_mb=memory or None)
    began = time.perf_counter()
    answer = _bounded(lake, Question(text, limits=limits))
    seconds = time.perf_counter() - began
    _write(answer, form, output)
    _tell(answer, seconds, form)
    _hint(lake, text)


def _bounded(lake: Lake, question: Question) -> Answer:
    """What DuckDB does not count must not take the machine either."""
    most = question.limits.memory_mb
    try:
        with bounds.capped(most):
            return asked(lake, question)
    except MemoryError:
        has = "there is" if most is None else f"its {most} MB"
        raise QueryTooBig(f"the query needs more memory than {has}: ask for less at a time") from None


def asked(lake: Lake, question: Question) -> Answer:
    """Ask in a thread, with a progress bar where it takes long and somebody sees it. Ctrl-C stops the question."""
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(lake.ask(question))
        except BaseException as e:  # noqa: BLE001 - raised again below
            errors.append(e)

    thread = threading.Thread(target=ask, name="query", daemon=True)
    thread.start()
    try:
        thread.join(PATIENCE)
        if thread.is_alive():
            with _bar() as show:
                while thread.is_alive():
                    thread.join(0.1)
                    show(question.progress)
    except KeyboardInterrupt:
        question.stop()
        thread.join(PATIENCE)
        raise
    if errors:
        raise errors[0]
    return answers[0]


@contextmanager
def _bar() -> Iterator[Any]:
    """A function that shows a percentage; one that does nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("asking the lake"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def show(percent: float) -> None:
            if percent >= 0:
                progress.update(task, total=100, completed=percent)

        yield show


def _form(given: Form | None, output: str | None) -> Form:
    suffix = "" if output is None else Path(output).suffix.removeprefix(".")
    by_name: dict[str, Form] = {name: name for name in formats.FORMATS}
    form = given or by_name.get(suffix) or ("table" if output is None and sys.stdout.isatty() else "csv")
    if form in formats.BINARY and output is None and sys.stdout.isatty():
        raise UsageError(f"{form} is nothing for a terminal: add --output answer.{form}, or | a program that reads it")
    return form


def _rows(limit: int | None, form: Form) -> int | None:
    if limit is None:
        return TABLE_ROWS if form == "table" else None
    if limit < 0:
        raise UsageError(f"--limit {limit}: write a number of rows, or 0 for all")
    return limit or None


def _write(answer: Answer, form: Form, output: str | None) -> None:
    if form == "table":
        from tapeline.cli.grid import grid

        text = grid(answer.table, sys.stdout if output is None else None)
        pieces: Iterator[bytes | memoryview] = iter([text.encode()])
    else:
        pieces = formats.pieces(answer.table, form)
    if output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        part.replace(path)
    except OSError as e:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise ConfigError("output", output, f"cannot be written ({e.strerror})") from e


def _tell(answer: Answer, seconds: float, form: Form) -> None:
    rows = many(answer.table.num_rows, "row")
    cut = "" if not answer.truncated else ", and there are more: --limit 0 gives all" + (", a WHERE fewer" * (form == "table"))
    complain(f"{rows} in {seconds:.2f} s{cut}")
    if answer.reach is not None:
        complain(f"the session that records now does not say what it has not stored yet: data up to {iso(answer.reach)}")


def _hint(lake: Lake, sql: str) -> None:
    """SQL finds nothing of a misspelt instrument, or of a simulated one by its real name, and does not say why."""
    for name in dict.fromkeys(match[1] or match[2] for match in NAMED.finditer(sql)):
        try:
            known.check(lake.data, [name])
        except UsageError as e:
            complain(str(e))


def _list(lake: Lake) -> None:
    from tapeline.cli.output import columns, write

    rows = [(view, f"{count:,}", ", ".join(names)) for view, count, names in lake.tables()]
    width = max(len(count) for _, count, _ in rows)
    write(columns([("view", "rows".rjust(width), "columns"), *((v, c.rjust(width), names) for v, c, names in rows)]))

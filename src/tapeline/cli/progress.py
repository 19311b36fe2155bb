"""A bar on standard error while something takes its time; silent where nobody looks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Gives `progress(done, total)`. Nothing is shown where standard error is no terminal, or it is over within half a second."""
    if not sys.stderr.isatty():
        yield lambda _, __: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def advancing(what: str, unit: str, total: int) -> Iterator[Callable[[int], None]]:
    """The same for who knows only how much each step was: gives `advance(n)`."""
    with counting(what, unit) as progress:
        done = 0

        def advance(n: int) -> None:
            nonlocal done
            done += n
            progress(done, max(done, total))

        yield advance

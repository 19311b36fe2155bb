"""`tapeline verify`: prove tape, lake and SQLite of a data directory against each other."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tapeline.audit.audit import audit, check
from tapeline.audit.words import page
from tapeline.cli import context, output
from tapeline.cli.progress import counting
from tapeline.errors import UsageError


def verify(
    data: Annotated[Path | None, Parameter(help="Data directory; that of the settings by default.", show_default=False)] = None,
    *,
    everything: Annotated[bool, Parameter(name="--all", help="Each point by itself, also those that hold.")] = False,
    json: context.Json = False,
) -> None:
    """Prove that nothing is missing, doubled or wrong: segments and checksums, ids, books, clocks, bars against trades, the lake and
    SQLite against the tape. Exit code 5 where something does not hold.
    """
    root = Path(context.load({"data": None if data is None else str(data)}).settings.data)
    if data is not None and not root.is_dir():
        raise UsageError(f"there is no data directory {data}")
    with counting("reading the tape", "frames") as progress:
        report = audit(root, progress)
    if json:
        output.write_json(report)
    else:
        output.write(page(report, everything=everything))
    check(report)

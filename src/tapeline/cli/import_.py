"""`tapeline import`: other programs' data onto the tape, and from there into the sinks (docs/export-import.md).

Raw recordings name their venue; plain data (CSV) name an instrument, or tell it in their columns.
"""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from tapeline.cli import context
from tapeline.cli.options import Data
from tapeline.errors import UsageError
from tapeline.venues.registry import VENUES

AnyKind = Literal["auto", "trades", "bars", "quotes", "book", "liquidations"]
AnyUnit = Literal["auto", "s", "ms", "us", "ns"]

What = Annotated[
    str,
    Parameter(
        allow_leading_hyphen=True,
        help=f"Of raw recordings the venue whose messages they are ({', '.join(VENUES)}); of plain data the first file.",
    ),
]
File = Annotated[
    str | None,
    Parameter(
        allow_leading_hyphen=True,
        help="A file, .gz, .zst and .zip too; - is standard input, as no file is for raw recordings.",
        show_default=False,
    ),
]
Files = Annotated[str, Parameter(help="Further files of the same recording.")]
FormatOption = Annotated[
    Literal["auto", "tardis", "cryptofeed", "hftbacktest", "lines"],
    Parameter(name="--format", help="Of raw recordings: who wrote them; auto tells by the first lines."),
]
Url = Annotated[
    str, Parameter(help="Of raw recordings: the address they came from, where it decides what messages mean (Bybit).")
]
KindOption = Annotated[
    AnyKind | None, Parameter(help="Plain data: what the rows are; auto tells by the columns.", show_default=False)
]
Instrument = Annotated[str, Parameter(help="Plain data: whose they are, as in binance:BTC-USDT.")]
Interval = Annotated[str, Parameter(help="Plain bars: as in 1m; else told by their times.")]
Map = Annotated[
    list[str] | None, Parameter(name="--map", help="Plain data: a column, as in price=px; repeatable.", show_default=False)
]
TimeUnit = Annotated[AnyUnit, Parameter(help="Plain data: of times that are numbers; auto judges by their size.")]
Zone = Annotated[str, Parameter(help="Plain data: time zone of texts that name none.")]
Rejects = Annotated[
    str | None, Parameter(help="Plain data: write rows that cannot be used here, with the reason.", show_default=False)
]


def import_(
    what: What,
    file: File = None,
    *files: Files,
    format_: FormatOption = "auto",
    url: Url = "",
    kind: KindOption = None,
    instrument: Instrument = "",
    interval: Interval = "",
    map_: Map = None,
    time_unit: TimeUnit = "auto",
    tz: Zone = "UTC",
    rejects: Rejects = None,
    data: Data = None,
    json: context.Json = False,
) -> None:
    """Bring other programs' data onto the tape and into the sinks: raw recordings (Tardis, cryptofeed, hftbacktest, lines), or plain
    CSV files of trades, bars, quotes and books.

    The files become one session with their own times. What cannot be read is counted and told. A file that was imported before is
    left out.
    """
    from tapeline.cli import importing

    settings = context.load({"data": data}).settings
    if kind is None and not instrument and not _is_file(what):
        form = next((f for f in importing.FORMATS if f == format_), None)
        importing.raw(settings, what, [file or "-", *files], form, url, as_json=json)
        return
    wanted = importing.Wanted(
        kind=None if kind in (None, "auto") else kind,  # type: ignore[arg-type]
        instrument=instrument,
        interval=interval,
        unit=None if time_unit == "auto" else time_unit,
        tz=tz,
        mapping=_mapping(map_ or []),
    )
    importing.plain(settings, [what, *([file] if file else []), *files], wanted, rejects, as_json=json)


def _is_file(what: str) -> bool:
    return what not in VENUES and (what == "-" or Path(what).is_file())


def _mapping(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        role, equals, column = text.partition("=")
        if not equals:
            raise UsageError(f"--map {text}: write what it is and the column's name, as in --map price=px")
        found[role.strip()] = column.strip()
    return found

"""`tapeline export`: out of the lake into files that other programs read. docs/export-import.md tells what each format holds."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from tapeline.cli import context, output
from tapeline.cli.live import say
from tapeline.cli.options import Data
from tapeline.cli.output import many
from tapeline.cli.progress import advancing
from tapeline.clock import iso, parse_iso
from tapeline.errors import UsageError

KINDS = {
    "trades": "trades", "quotes": "quotes", "book": "book_updates", "bars": "bars", "metrics": "metrics", "ticker": "tickers",
    "liquidations": "liquidations", "status": "status", "alerts": "alerts",
}  # fmt: skip
"""What one asks for → the view that has it."""
OTHERS = ("ohlcv", "hftbacktest", "tardis")
DEFAULT_ENDING = {"hftbacktest": ".npz", "tardis": ".csv"}
GAPS_NAMED = 5

What = Annotated[str, Parameter(help=f"{', '.join(KINDS)}; or {', '.join(OTHERS)}.")]
Instruments = Annotated[
    list[str] | None, Parameter(help="Which instrument; repeatable where several fit into one file.", show_default=False)
]
From = Annotated[str | None, Parameter(name="--from", help="From this ISO time on; no zone means UTC.", show_default=False)]
To = Annotated[str | None, Parameter(help="Up to this ISO time, itself left out.", show_default=False)]
Target = Annotated[
    str,
    Parameter(name=("--output", "-o"), allow_leading_hyphen=True, help="File; - is standard output. .gz and .zst pack texts."),
]
FormatOption = Annotated[
    Literal["csv", "jsonl", "parquet", "arrow"] | None,
    Parameter(name="--format", help="By default what the file's name says, else csv.", show_default=False),
]
Interval = Annotated[str, Parameter(help="Of ohlcv: any kind, as in 1s, 90s, 1d@Europe/Berlin, tick:500.")]
Origin = Annotated[Literal["trades", "venue"], Parameter(help="Of ohlcv: bars from trades, or the venue's candles.")]
Complete = Annotated[bool, Parameter(help="Of ohlcv: only bars that lack no trade.")]
Type = Annotated[
    str,
    Parameter(name="--type", help="Of tardis: trades, incremental_book_L2, quotes, book_snapshot_N or liquidations."),
]
Force = Annotated[bool, Parameter(help="Replace a file that is there already.")]


def export(
    what: What,
    *,
    instrument: Instruments = None,
    from_: From = None,
    to: To = None,
    output_: Target = "-",
    format_: FormatOption = None,
    interval: Interval = "1m",
    origin: Origin = "trades",
    complete: Complete = False,
    type_: Type = "trades",
    force: Force = False,
    data: Data = None,
    json: context.Json = False,
) -> None:
    """Write what the lake holds into a file for other programs: CSV, JSON lines, Parquet, Arrow, OHLCV for pandas and
    backtesting.py, hftbacktest's .npz, Tardis' CSV.

    The file appears whole or not at all. What is missing in the span is told.
    """
    from tapeline.lake import exporting, known, outputs, rows

    root = Path(context.load({"data": data}).settings.data)
    names, start, end = tuple(instrument or ()), _time("--from", from_), _time("--to", to)
    if what not in KINDS and what not in OTHERS:
        raise UsageError(f"export {what}: there are {', '.join([*KINDS, *OTHERS])}")
    if json and output_ == outputs.STDOUT:
        raise UsageError("--json tells of a file: name one with --output")
    form = format_ or _form(what, output_)
    outputs.check(output_, force=force)
    known.check(root, names)
    if what in KINDS:
        selection = rows.Selection(KINDS[what], names, start, end)
        with advancing("exporting", "rows", rows.count(root, selection)) as told:
            done = exporting.export(root, selection, form, output_, told)  # type: ignore[arg-type]
    else:
        done = _other(what, root, _one(what, names), start, end, form, output_, interval, origin, complete, type_)
    _report(done, exporting.gaps(root, names, start, end), output_, as_json=json)


def _other(
    what: str, root: Path, name: str, start: int | None, end: int | None, form: str, target: str,
    interval: str, origin: str, complete: bool, kind: str,
) -> Any:  # fmt: skip
    from tapeline.lake import export_hftbacktest, export_ohlcv, export_tardis, rows

    views = {"ohlcv": ("bars",), "hftbacktest": ("trades", "book_updates"), "tardis": ("book_updates",)}[what]
    if what == "tardis" and kind in ("trades", "quotes", "liquidations"):
        views = (kind,)
    total = sum(rows.count(root, rows.Selection(view, (name,), start, end)) for view in views)
    with advancing("exporting", "rows", total) as told:
        if what == "ohlcv":
            return export_ohlcv.export(
                root, name, interval, start, end, form, target, origin=origin, complete=complete, told=told
            )
        if what == "hftbacktest":
            return export_hftbacktest.export(root, name, start, end, target, told)
        return export_tardis.export(root, kind, name, start, end, target, told)


def _form(what: str, target: str) -> str:
    """What the file's name says; CSV where it has no ending. A sheet called .xlsx with CSV in it would open nowhere."""
    from tapeline.lake import exporting

    if (told := exporting.form_of(target)) is None and what not in DEFAULT_ENDING and Path(target).suffix:
        raise UsageError(
            f"--output {target}: say --format too, or end it in {', '.join(exporting.ENDINGS)} (texts also .gz, .zst)"
        )
    return told or "csv"


def _one(what: str, names: tuple[str, ...]) -> str:
    if len(names) != 1:
        raise UsageError(f"export {what} is of one instrument: --instrument binance:BTC-USDT")
    return names[0]


def _time(name: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_iso(text)
    except ValueError:
        raise UsageError(f"{name} {text}: write an ISO time, as in 2026-11-21 or 2026-11-21T09:00") from None


def _report(done: Any, gaps: list[Any], target: str, *, as_json: bool) -> None:
    if as_json:
        output.write_json({"output": target, "exported": done, "gaps": gaps})
        return
    where = "standard output" if target == "-" else target
    say(f"{many(done.rows, 'row')}, {many(done.bytes, 'byte')} to {where}")
    for text, n in done.left_out.items():
        say(f"left out: {n} {text}")
    for note in done.notes:
        say(note)
    if gaps:
        kinds = Counter(gap.kind for gap in gaps)
        told = ", ".join(f"{many(n, {'gap': 'gap', 'disconnected': 'lost connection'}[kind])}" for kind, n in kinds.items())
        say(f"{told} in this span: it is not whole. `tapeline export status` has all of it")
        for gap in gaps[:GAPS_NAMED]:
            say(f"  {iso(gap.time)} {gap.instrument or 'connection'} {gap.channel} {gap.kind}: {gap.reason}".rstrip())

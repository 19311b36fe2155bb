"""`tapeline instruments`: what the venues trade, by their own lists, to look through and to search.

Where lists come from and how they are kept stands in listing.py. A query is part of a name, ours or the venue's, with or without
what separates its assets, so that `btcusd`, `BTC/USD` and `BTC-USD` find the same; or a whole id, whose venue alone is asked then.
"""

from decimal import Decimal
from typing import Annotated

from cyclopts import Parameter

from tapeline.cli import complain, context, listing, output
from tapeline.errors import UsageError
from tapeline.instruments import Instrument, Registry
from tapeline.venues.registry import VENUES

HEAD = ("id", "native", "kind", "tick", "lot", "contract", "session", "status")
ALWAYS, UNKNOWN = "24/7", "-"
"""No cell is empty, so that `awk` can count them."""
_SEPARATORS = str.maketrans("", "", "-/_: ")


async def instruments(
    query: Annotated[str | None, Parameter(help="Part of a name, ours or the venue's, or a whole id.")] = None,
    /,
    *,
    venue: Annotated[list[str] | None, Parameter(help="One venue; repeatable. Default: all.")] = None,
    data: Annotated[str | None, Parameter(help="Data directory, where lists are kept.")] = None,
    offline: Annotated[bool, Parameter(help="Use the kept list; ask nobody.")] = False,
    json: context.Json = False,
) -> None:
    """List or search what the venues trade: names, steps, contracts' worth, sessions, states.

    Venues are asked side by side; of one that does not answer the list that was kept last is used, and that is said.
    """
    settings = context.load({"data": data}).settings
    names, words = _split(query, venue or list(VENUES))
    listings, faults = await listing.gather(names, words, settings, offline=offline)
    for fault in faults if listings else faults[:-1]:
        complain(str(fault))
    if not listings:
        raise faults[-1]
    every = [i for one in listings for i in one.instruments]
    chosen = [i for one in listings for i in one.instruments if one.searched or _fits(i, words)]
    if words and not chosen:
        raise UsageError(_nearest(words, [one.venue for one in listings], every))
    if json:
        output.write_json(chosen)
    else:
        output.write(output.columns([HEAD, *map(_row, sorted(chosen, key=lambda i: i.id))]))


def _split(query: str | None, venues: list[str]) -> tuple[list[str], str]:
    """`binance:BTC` asks one venue. A query that is no id asks all that were named."""
    name, colon, rest = (query or "").partition(":")
    return ([name.lower()], rest.strip()) if colon else (venues, name.strip())


def _plain(name: str) -> str:
    return name.upper().translate(_SEPARATORS)


def _fits(instrument: Instrument, words: str) -> bool:
    plain = _plain(words)
    return plain in _plain(instrument.symbol) or plain in _plain(instrument.native)


def _nearest(words: str, names: list[str], every: list[Instrument]) -> str:
    registry = Registry("")
    registry.fill(every)
    near = registry.nearest(words, 3)
    return f"no instrument like {words!r} at {', '.join(names)}" + (f"; nearest are {', '.join(near)}" if near else "")


def _row(i: Instrument) -> tuple[str, ...]:
    worth = i.inverse or i.contract_size != 1.0
    contract = f"{_number(i.contract_size)}_{i.quote if i.inverse else i.base}" if worth else UNKNOWN
    return (i.id, i.native, i.kind, _number(i.tick), _number(i.lot), contract, i.session or ALWAYS, i.status or UNKNOWN)


def _number(value: float | None) -> str:
    """As a person writes it: 0.00000001, not 1e-08."""
    if value is None:
        return UNKNOWN
    text = f"{Decimal(repr(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

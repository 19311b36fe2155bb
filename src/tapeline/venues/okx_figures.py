"""The slow part of OKX's messages: tickers, marks, funding, open interest, forced orders, candles; and what a contract is.

`tickers` is of the last 24 hours. `vol24h` is in contracts of derivatives, else in the base asset; `volCcy24h` in the base asset
of derivatives, else in the quote asset. `mark-price`, `funding-rate` and `open-interest` are streams of their own, each a `Ticker`
with its own figure. From six hours on candles are of Hong Kong's day unless their name says utc: then ours says `@+08:00`.
`side` in `liquidation-orders` is the forced order's, `bkPx` the price at which the venue took it over.
"""

from collections.abc import Callable, Sequence

from tapeline.clock import MILLI, SECOND
from tapeline.events import Bar, Liquidation, Ticker
from tapeline.instruments import Instrument, Registry
from tapeline.venues import okx_messages as w
from tapeline.venues.base import Record, rejected
from tapeline.venues.decoding import NO_VENUE_TIME, SAMPLED, BaseDecoder
from tapeline.venues.okx_messages import Unit

UNLISTED = "unlisted"  # the status of a contract whose value is not known

INTERVALS: dict[str, tuple[str, int]] = {
    "1s": ("1s", 1), "1m": ("1m", 60), "3m": ("3m", 180), "5m": ("5m", 300), "15m": ("15m", 900), "30m": ("30m", 1800),
    "1H": ("1h", 3600), "2H": ("2h", 7200), "4H": ("4h", 14_400), "6Hutc": ("6h", 21_600), "12Hutc": ("12h", 43_200),
    "1Dutc": ("1d", 86_400), "2Dutc": ("2d", 172_800), "3Dutc": ("3d", 259_200), "1Wutc": ("1w", 604_800),
    "6H": ("6h@+08:00", 21_600), "12H": ("12h@+08:00", 43_200), "1D": ("1d@+08:00", 86_400), "2D": ("2d@+08:00", 172_800),
    "3D": ("3d@+08:00", 259_200), "1W": ("1w@+08:00", 604_800),
}  # fmt: skip
"""OKX's intervals: (ours, seconds)."""


class FiguresDecoder(BaseDecoder):
    def __init__(self, registry: Registry, derive: Callable[[str, str], Instrument], *, simulated: bool) -> None:
        super().__init__(registry, derive, simulated=simulated)
        self._told: set[str] = set()  # contracts of which it was said that their value is not known

    def _unit(self, native: str) -> Unit:
        return Unit(self.listed(native))

    def _note(self, unit: Unit, ts_recv: int) -> Sequence[Record]:
        """Said once of a contract whose value is not known."""
        instrument = unit.instrument
        if instrument.status != UNLISTED or instrument.native in self._told:
            return ()
        self._told.add(instrument.native)
        reason = (
            f"{instrument.native} is on no list that was received: sizes stay numbers of contracts, whose value is not known"
        )
        return (rejected(self.registry.label, instrument.id, ts_recv, "instruments", reason, self.flags),)

    def _tickers(self, raw: bytes, ts_recv: int, unit: Unit) -> Sequence[Record]:
        """The best bid and offer that stand here, too, are those of `bbo-tbt`, later."""
        records: list[Record] = []
        for t in w.read_tickers(raw).data:
            ts, flags = self.timed(t.ts * MILLI, ts_recv, self.flags_of(raw))
            volume = t.volCcy24h if unit.contracts and not unit.inverse else t.vol24h
            notional = "" if unit.contracts else t.volCcy24h
            if unit.inverse and volume != "" and unit.instrument.status != UNLISTED:
                notional = volume * unit.instrument.contract_size
            records.append(
                Ticker(
                    unit.instrument.id, ts, ts_recv, flags, _told(t.last), _told(t.open24h), _told(t.high24h), _told(t.low24h),
                    _told(volume), _told(notional),
                )
            )  # fmt: skip
        return records

    def _mark_price(self, raw: bytes, ts_recv: int, unit: Unit) -> Sequence[Record]:
        records: list[Record] = []
        for m in w.read_mark_prices(raw).data:
            ts, flags = self.timed(m.ts * MILLI, ts_recv, self.flags_of(raw))
            records.append(Ticker(unit.instrument.id, ts, ts_recv, flags, mark=_told(m.markPx)))
        return records

    def _funding_rate(self, raw: bytes, ts_recv: int, unit: Unit) -> Sequence[Record]:
        records: list[Record] = []
        for f in w.read_funding_rates(raw).data:
            flags = self.flags_of(raw)
            ts, flags = (ts_recv, flags | NO_VENUE_TIME) if f.ts == "" else self.timed(f.ts * MILLI, ts_recv, flags)
            due = None if f.fundingTime == "" else f.fundingTime * MILLI
            records.append(Ticker(unit.instrument.id, ts, ts_recv, flags, funding_rate=_told(f.fundingRate), next_funding=due))
        return records

    def _open_interest(self, raw: bytes, ts_recv: int, unit: Unit) -> Sequence[Record]:
        records: list[Record] = []
        for o in w.read_open_interests(raw).data:
            ts, flags = self.timed(o.ts * MILLI, ts_recv, self.flags_of(raw))
            interest = None if o.oi == "" else unit.size(o.oi)
            records.append(Ticker(unit.instrument.id, ts, ts_recv, flags, open_interest=interest))
        return records

    def _liquidations(self, raw: bytes, ts_recv: int) -> Sequence[Record]:
        """At most one a second and contract is told. The stream is of all instruments of a type."""
        records: list[Record] = []
        for row in w.read_liquidations(raw).data:
            unit = self._unit(row.instId)
            records += self._note(unit, ts_recv)
            for d in row.details:
                ts, flags = self.timed(d.ts * MILLI, ts_recv, self.flags_of(raw) | SAMPLED)
                records.append(Liquidation(unit.instrument.id, ts, ts_recv, flags, d.bkPx, unit.size(d.sz), d.side, None, ""))
        return records

    def _candles(self, interval: str, seconds: int, raw: bytes, ts_recv: int, unit: Unit) -> Sequence[Record]:
        """A candle bears no time but its own beginning, so one that is not over yet is of the time at which it came. The mean
        price of inverse contracts is one by contracts, everywhere in this house, which no candle of theirs tells.
        """
        records: list[Record] = []
        for c in w.read_candles(raw).data:
            begun, flags = self.timed(c.ts * MILLI, ts_recv, self.flags_of(raw))
            over = c.confirm == "1"
            ts, flags = (begun + seconds * SECOND, flags) if over else (ts_recv, flags | NO_VENUE_TIME)
            amount = c.in_ccy if unit.contracts else c.volume
            volume = c.volume if unit.inverse or amount == "" else amount
            vwap = c.in_quote / amount if amount and c.in_quote and not unit.inverse else None
            records.append(
                Bar(
                    unit.instrument.id, ts, ts_recv, flags, interval, begun, c.open, c.high, c.low, c.close,
                    volume, None, _told(c.in_quote), vwap, None, over, 0, "venue",
                )
            )  # fmt: skip
        return records


def _told(number: float | str) -> float | None:
    return None if isinstance(number, str) else number

"""What Binance's spot and futures wires have in common: streams per instrument, cadences, the shape of REST answers.

A wire turns what happened in one step of the market into payload texts, for subscribed streams only, and answers HTTP requests.
It knows no sockets: payloads go to the hub, answers come back as `Reply`. Payload texts are written by hand rather than encoded
from records because field order and number texts are part of what is imitated. Sources of shapes and rules stand in
`binance.py` and `binance_usdm.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from tapeline.clock import MILLI, SECOND
from tapeline.sim.binance_protocol import BinanceProtocol
from tapeline.sim.hub import MILLIS, Hub
from tapeline.sim.instrument import Aggregate, Batch, Instrument, Touch, Trade
from tapeline.sim.klines import INTERVALS, Kline, bucket
from tapeline.sim.market import Book, Market
from tapeline.sim.printing import Printer
from tapeline.sim.wire import Line, Reply

Topics = Mapping[str, dict[int, list[Any]]]
JSON_BOOL = ("false", "true")


class BadRequest(Exception):
    """Answered as `{"code": …, "msg": …}`."""

    def __init__(self, code: int, msg: str, status: int = 400) -> None:
        self.status = status
        self.body = msgspec.json.encode({"code": code, "msg": msg})
        super().__init__(msg)


class BinanceLine(Line):
    """With the names of its streams."""

    def __init__(self, instrument: Instrument, printer: Printer) -> None:
        super().__init__(instrument, printer)
        self.low = self.native.lower()
        self.trade, self.aggregate, self.ticker = (f"{self.low}@{n}" for n in ("trade", "aggTrade", "bookTicker"))


class BinanceWire(BinanceProtocol):
    """Subclasses give names, limits and payloads."""

    depth_suffix: ClassVar[dict[int, tuple[str, ...]]]  # cadence → suffixes of diff streams
    kline_push: ClassVar[int]
    most_klines: ClassVar[int]
    agg_trade_suffix: ClassVar[str] = ""
    worth_key: ClassVar[str] = "quoteQty"

    def __init__(self, market: Market, hub: Hub) -> None:
        super().__init__(market, hub)
        self.by_name = {i.spec.native: BinanceLine(i, self.printer(i)) for i in self.listed()}
        self.by_low = {line.low: line for line in self.by_name.values()}

    def trade_text(self, line: BinanceLine, trade: Trade, unit: int, now: int) -> str:
        raise NotImplementedError

    def aggregate_text(self, line: BinanceLine, one: Aggregate, unit: int, now: int) -> str:
        raise NotImplementedError

    def touch_text(self, line: BinanceLine, touch: Touch, unit: int, now: int) -> str:
        raise NotImplementedError

    def diff_text(self, line: BinanceLine, batch: Batch, unit: int, now: int) -> str:
        raise NotImplementedError

    def partial_text(self, line: BinanceLine, batch: Batch, levels: int, unit: int, now: int) -> str:
        raise NotImplementedError

    def slow(self, topics: Topics, now: int) -> None:
        """Once a second: tickers and the like."""
        raise NotImplementedError

    def depth_body(self, line: BinanceLine, book: Book, limit: int) -> str:
        raise NotImplementedError

    def exchange_info(self) -> dict[str, Any]:
        raise NotImplementedError

    def publish(self, now: int) -> None:
        topics: Topics = self.hub.topics.get(self.venue) or {}
        for line in self.by_name.values():
            if topics:
                instrument = line.instrument
                self._records(topics, line.trade, line, instrument.trades, self.trade_text, now)
                self._records(topics, line.aggregate, line, instrument.aggregates, self.aggregate_text, now)
                self._records(topics, line.ticker, line, instrument.touches, self.touch_text, now)
                self.more_streams(topics, line, now)
            self._depth(topics, line, now)
        if topics and now % (250 * MILLI) == 0:
            self._klines(topics, now)
            if now % SECOND == 0:
                self.slow(topics, now)

    def more_streams(self, topics: Topics, line: BinanceLine, now: int) -> None:
        """More streams of one step (all-market book tickers, liquidations)."""

    def _records(
        self, topics: Topics, name: str, line: BinanceLine, records: list[Any], text: Callable[..., str], now: int
    ) -> None:
        groups = topics.get(name)
        if groups and records:
            deliver = self.hub.deliver
            for unit, conns in groups.items():
                for record in records:
                    deliver(self.venue, name, conns, text(line, record, unit, now))

    def emit(self, topics: Topics, name: str, text: Callable[[int], str]) -> None:
        """One message of a stream, if anyone listens: `text(unit)`."""
        for unit, conns in (topics.get(name) or {}).items():
            self.hub.deliver(self.venue, name, conns, text(unit))

    def emit_all(self, topics: Topics, suffix: str, array: str, text: Callable[[BinanceLine, int, int], str], now: int) -> None:
        """One message of each instrument's `@suffix` and one of `array`, which has all of them: `text(line, unit, now)`."""

        def told(line: BinanceLine) -> Callable[[int], str]:
            return lambda unit: text(line, unit, now)

        lines = self.by_name.values()
        for line in lines:
            self.emit(topics, f"{line.low}@{suffix}", told(line))
        self.emit(topics, array, lambda unit: f"[{','.join(text(line, unit, now) for line in lines)}]")

    def _depth(self, topics: Topics, line: BinanceLine, now: int) -> None:
        for cadence, batch in line.instrument.batches.items():
            if now % cadence or not batch.first:
                continue
            if topics:
                for suffix in self.depth_suffix.get(cadence, ()):
                    self.emit(topics, f"{line.low}@depth{suffix}", lambda unit, b=batch: self.diff_text(line, b, unit, now))  # type: ignore[misc]
                    for levels in (5, 10, 20):
                        name = f"{line.low}@depth{levels}{suffix}"
                        if name in topics:
                            self.emit(
                                topics,
                                name,
                                lambda unit, b=batch, n=levels: self.partial_text(line, b, n, unit, now),  # type: ignore[misc]
                            )
            batch.clear()

    def _klines(self, topics: Topics, now: int) -> None:
        for name in [n for n in topics if "@kline_" in n]:
            low, _, interval = name.partition("@kline_")
            line = self.by_low.get(low)
            if line is None:
                continue
            open_time = bucket(now - 1, interval)
            closed = bucket(now, interval) != open_time
            push = SECOND if interval == "1s" else self.kline_push
            if closed or now % push == 0:
                bar = line.instrument.klines.at(interval, open_time)
                self.emit(
                    topics,
                    name,
                    lambda unit, ln=line, b=bar, x=closed, i=interval: self.kline_text(ln, b, i, unit, now, closed=x),  # type: ignore[misc]
                )

    def kline_text(self, line: BinanceLine, bar: Kline, interval: str, unit: int, now: int, *, closed: bool) -> str:
        p = line.printer
        end = (bar.open_time + INTERVALS[interval]) // unit - 1
        return (
            f'{{"e":"kline","E":{now // unit},"s":"{line.native}","k":{{"t":{bar.open_time // unit},"T":{end},"s":"{line.native}",'
            f'"i":"{interval}","f":{bar.first},"L":{bar.last},"o":"{p.price(bar.open)}","c":"{p.price(bar.close)}",'
            f'"h":"{p.price(bar.high)}","l":"{p.price(bar.low)}","v":"{p.size(bar.volume)}","n":{bar.trades},'
            f'"x":{JSON_BOOL[closed]},"q":"{p.worth(bar.volume, bar.notional)}","V":"{p.size(bar.buy_volume)}",'
            f'"Q":"{p.worth(bar.buy_volume, bar.buy_notional)}","B":"0"}}}}'
        )

    def mini_ticker_text(self, line: BinanceLine, unit: int, now: int) -> str:
        p, day = line.printer, line.day(now)
        return (
            f'{{"e":"24hrMiniTicker","E":{now // unit},"s":"{line.native}","c":"{p.price(day.close)}","o":"{p.price(day.open)}",'
            f'"h":"{p.price(day.high)}","l":"{p.price(day.low)}","v":"{p.size(day.volume)}",'
            f'"q":"{p.worth(day.volume, day.notional)}"}}'
        )

    @staticmethod
    def changed(batch: Batch, line: BinanceLine) -> tuple[str, str]:
        """The absolute sizes now of the prices changed in a batch: bids and asks, best first."""
        lob = line.instrument.lob
        bids = [(key, lob.bids.total(key)) for key in sorted(batch.bids, reverse=True)]
        asks = [(-key, lob.asks.total(key)) for key in sorted(batch.asks, reverse=True)]
        return line.printer.levels(bids), line.printer.levels(asks)

    def http(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Book]) -> Reply:
        """`name`: the path after `rest`; `book(native)` gives the book to show, which need not be today's."""
        try:
            return Reply(self._answer(name, params, now, book).encode())
        except BadRequest as error:
            return Reply(error.body, error.status)

    def _answer(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Book]) -> str:
        millis = now // MILLIS
        match name:
            case "ping":
                return "{}"
            case "time":
                return f'{{"serverTime":{millis}}}'
            case "exchangeInfo":
                return msgspec.json.encode(self.exchange_info()).decode()
            case "depth":
                line = self.line(params)
                return self.depth_body(line, book(line.native), self.limit(params, 5000, 100))
            case "trades":
                return self._trades(self.line(params), self.limit(params, 1000, 500))
            case "historicalTrades":
                return self._trades(self.line(params), self.limit(params, 1000, 500), self.number(params, "fromId"))
            case "aggTrades":
                return self._aggregates(self.line(params), params)
            case "klines":
                return self._bars(self.line(params), params, now)
        return self.more(name, params, now)

    def more(self, name: str, params: Mapping[str, str], now: int) -> str:  # a hook
        """Addresses of one venue only."""
        raise BadRequest(-1, f"no such address: {name}", 404)

    def line(self, params: Mapping[str, str]) -> BinanceLine:
        symbol = params.get("symbol")
        if not symbol:
            raise BadRequest(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if symbol not in self.by_name:
            raise BadRequest(-1121, "Invalid symbol.")
        return self.by_name[symbol]

    @staticmethod
    def number(params: Mapping[str, str], key: str) -> int | None:
        if key not in params:
            return None
        try:
            return int(params[key])
        except ValueError:
            raise BadRequest(
                -1100, f"Illegal characters found in parameter '{key}'; legal range is '^[0-9]{{1,20}}$'."
            ) from None

    def limit(self, params: Mapping[str, str], most: int, default: int) -> int:
        limit = self.number(params, "limit")
        if limit is not None and limit < 1:
            raise BadRequest(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(limit or default, most)

    def _trades(self, line: BinanceLine, limit: int, from_id: int | None = None) -> str:
        p, kept = line.printer, list(line.instrument.recent_trades)
        kept = kept[-limit:] if from_id is None else [t for t in kept if t.id >= from_id][:limit]
        rows = (
            f'{{"id":{t.id},"price":"{p.price(t.price)}","qty":"{p.size(t.size)}",'
            f'"{self.worth_key}":"{p.worth(t.size, t.price * t.size)}",'
            f'"time":{t.ts // MILLIS},"isBuyerMaker":{JSON_BOOL[t.buyer_is_maker]}{self.trade_suffix}}}'
            for t in kept
        )
        return _array(rows)

    trade_suffix: ClassVar[str] = ""

    def _aggregates(self, line: BinanceLine, params: Mapping[str, str]) -> str:
        p, limit = line.printer, self.limit(params, 1000, 500)
        start, end, from_id = (self.number(params, key) for key in ("startTime", "endTime", "fromId"))
        kept = [
            a
            for a in line.instrument.recent_aggregates
            if (from_id is None or a.id >= from_id)
            and (start is None or a.ts // MILLIS >= start)
            and (end is None or a.ts // MILLIS <= end)
        ]
        chosen = kept[:limit] if from_id is not None or start is not None else kept[-limit:]
        return _array(
            f'{{"a":{a.id},"p":"{p.price(a.price)}","q":"{p.size(a.size)}","f":{a.first},"l":{a.last},"T":{a.ts // MILLIS},'
            f'"m":{JSON_BOOL[a.buyer_is_maker]}{self.agg_trade_suffix}}}'
            for a in chosen
        )

    def _bars(self, line: BinanceLine, params: Mapping[str, str], now: int) -> str:
        interval = params.get("interval", "")
        if interval not in INTERVALS:
            raise BadRequest(-1120, "Invalid interval.")
        limit = self.limit(params, self.most_klines, 500)
        start, end = self.number(params, "startTime"), self.number(params, "endTime")
        bars = [
            b
            for b in line.instrument.klines.recent(interval, now, 3000)
            if (start is None or b.open_time // MILLIS >= start) and (end is None or b.open_time // MILLIS <= end)
        ]
        p = line.printer
        return _array(
            f'[{b.open_time // MILLIS},"{p.price(b.open)}","{p.price(b.high)}","{p.price(b.low)}","{p.price(b.close)}",'
            f'"{p.size(b.volume)}",{(b.open_time + INTERVALS[interval]) // MILLIS - 1},"{p.worth(b.volume, b.notional)}",{b.trades},'
            f'"{p.size(b.buy_volume)}","{p.worth(b.buy_volume, b.buy_notional)}","0"]'
            for b in (bars[:limit] if start is not None else bars[-limit:])
        )


def _array(rows: Iterable[str]) -> str:
    return f"[{','.join(rows)}]"

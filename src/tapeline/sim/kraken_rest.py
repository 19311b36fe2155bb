"""Kraken's public REST as it answers: the HTTP half of `kraken.py`.

Source: docs.kraken.com, "Spot REST" (2026). Pairs have v1's names here (XBT, XDG) and codes of their own in the answers; `Trades`
gives the latest trades, or the first after a time in ns; whatever is wrong is said with status 200, in a list of texts.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tapeline.clock import SECOND
from tapeline.clock import iso as whole_iso
from tapeline.sim.json_wire import JsonWire, Refused
from tapeline.sim.lob import Fill
from tapeline.sim.market import Book
from tapeline.sim.wire import Line, Reply
from tapeline.venues.kraken_messages import MINUTES, RENAMED, rest_pair

MOST_TRADES, MOST_CANDLES = 1000, 720
_OLD = {new: old for old, new in RENAMED.items()}
_ENDPOINT = re.compile(r"/?0/public/(\w+)")


def iso(ns: int, digits: int = 6) -> str:
    """Kraken's times: microseconds, or all nine digits where it prints them."""
    return f"{whole_iso(ns)[:19]}.{ns % SECOND // 10 ** (9 - digits):0{digits}d}Z"


class KrakenRest(JsonWire):
    book_endpoints = ("Depth",)
    weight_budget = 120

    def endpoint(self, path: str) -> str | None:
        found = _ENDPOINT.fullmatch(path)
        return found[1] if found else None

    def http(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Book]) -> Reply:
        try:
            return Reply(f'{{"error":[],"result":{self._result(name, params, now, book)}}}'.encode())
        except Refused as why:
            return Reply(msgspec.json.encode({"error": [why.msg]}))

    def _result(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Book]) -> str:
        if name == "AssetPairs":
            return "{" + ",".join(self._pair(line) for line in self.lines.values()) + "}"
        if name == "SystemStatus":
            return f'{{"status":"online","timestamp":"{iso(now)[:19]}Z"}}'
        if name == "Time":
            return f'{{"unixtime":{now // SECOND}}}'
        line = self._line(params)
        match name:
            case "Depth":
                frozen, count = book(line.native), _whole(params, "count", 100)
                sides = [",".join(self._rows(line, side[:count], now)) for side in (frozen.asks, frozen.bids)]
                return f'{{"{_code(line)}":{{"asks":[{sides[0]}],"bids":[{sides[1]}]}}}}'
            case "Trades":
                return self._past_trades(
                    line, _whole(params, "since", -1), min(_whole(params, "count", 1000), MOST_TRADES), now
                )
            case "OHLC":
                return self._past_candles(line, _whole(params, "interval", 1), now)
        raise Refused("EGeneral:Unknown method")

    def _line(self, params: Mapping[str, str]) -> Line:
        wanted = params.get("pair", "")
        for line in self.lines.values():
            if wanted in {line.native, rest_pair(line.native), line.native.replace("/", ""), _code(line)}:
                return line
        raise Refused("EQuery:Unknown asset pair")

    @staticmethod
    def _rows(line: Line, side: Sequence[Fill], now: int) -> list[str]:
        p = line.printer
        return [f'["{p.price(price)}","{p.size(size)}",{now // SECOND}]' for price, size in side]

    def _pair(self, line: Line) -> str:
        spec, (base, quote) = line.spec, (_OLD.get(a, a) for a in (line.spec.base, line.spec.quote))
        return (
            f'"{_code(line)}":{{"altname":"{base}{quote}","wsname":"{base}/{quote}","aclass_base":"currency","base":"{_coded(base)}",'
            f'"aclass_quote":"currency","quote":"{_coded(quote)}","lot":"unit","cost_decimals":5,"pair_decimals":{spec.price_decimals},'
            f'"lot_decimals":8,"lot_multiplier":1,"ordermin":"0.0001","costmin":"0.5","tick_size":"{line.printer.price(1)}",'
            f'"status":"online"}}'
        )

    def _past_trades(self, line: Line, since: int, count: int, now: int) -> str:
        p, kept = line.printer, line.recent(10_000)
        chosen = kept[-count:] if since < 0 else [t for t in kept if t.ts > since][:count]
        rows = ",".join(
            f'["{p.price(t.price)}","{p.size(t.size)}",{t.ts // SECOND}.{t.ts % SECOND // 100:07d},'
            f'"{"s" if t.buyer_is_maker else "b"}","{"l" if t.taker % 3 else "m"}","",{t.id}]'
            for t in chosen
        )
        return f'{{"{_code(line)}":[{rows}],"last":"{chosen[-1].ts if chosen else now}"}}'

    def _past_candles(self, line: Line, minutes: int, now: int) -> str:
        if minutes not in MINUTES or minutes >= 21600:
            raise Refused("EGeneral:Invalid arguments")
        p, interval = line.printer, MINUTES[minutes]
        bars = line.instrument.klines.recent(interval, now, MOST_CANDLES)
        rows = ",".join(
            f'[{b.open_time // SECOND},"{p.price(b.open)}","{p.price(b.high)}","{p.price(b.low)}","{p.price(b.close)}",'
            f'"{p.mean(b.notional, b.volume)}","{p.size(b.volume)}",{b.trades}]'
            for b in bars
        )
        last = bars[-2].open_time // SECOND if len(bars) > 1 else 0
        return f'{{"{_code(line)}":[{rows}],"last":{last}}}'


def _coded(asset: str) -> str:
    """REST's own codes of the oldest assets."""
    return {"XBT": "XXBT", "ETH": "XETH", "XDG": "XXDG", "XRP": "XXRP", "USD": "ZUSD", "EUR": "ZEUR"}.get(asset, asset)


def _code(line: Line) -> str:
    """What REST calls a pair in its answers: `XXBTZUSD` where both assets are old, else `SOLUSD`."""
    base, quote = (_OLD.get(a, a) for a in (line.spec.base, line.spec.quote))
    old = _coded(base) != base and _coded(quote) != quote
    return _coded(base) + _coded(quote) if old else base + quote


def _whole(params: Mapping[str, str], key: str, default: int) -> int:
    text = params.get(key, "")
    if text and not (text.isascii() and text.isdigit()):
        raise Refused("EGeneral:Invalid arguments")
    return int(text) if text else default

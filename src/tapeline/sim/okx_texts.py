"""How OKX spells trades, candles, lists and answers: the texts of `sim/okx.py`, which has the source."""

from collections.abc import Sequence
from zlib import crc32

import msgspec

from tapeline.sim.depths import View
from tapeline.sim.hub import MILLIS
from tapeline.sim.instrument import Trade
from tapeline.sim.klines import INTERVALS, Kline
from tapeline.sim.printing import Printer, trimmed
from tapeline.sim.specs import Spec
from tapeline.sim.wire import Line, Reply

UNITS = {"s": "s", "m": "m", "H": "h", "D": "d", "W": "w"}
CANDLES = {f"{n}{unit}": f"{n}{ours}" for unit, ours in UNITS.items() for n in (1, 2, 3, 4, 5, 6, 8, 12, 15, 30)}
"""OKX's intervals to those of `klines`, where there are such."""


def on_business(channel: str) -> bool:
    return channel == "trades-all" or channel.startswith("candle")


def interval_of(channel: str) -> str | None:
    interval = CANDLES.get(channel.removeprefix("candle").removesuffix("utc")) if channel.startswith("candle") else None
    return interval if interval in INTERVALS else None


def type_of(spec: Spec) -> str:
    return {"spot": "SPOT", "perp": "SWAP", "future": "FUTURES"}[spec.kind]


def push(channel: str, line: Line, row: str) -> str:
    return f'{{"arg":{{"channel":"{channel}","instId":"{line.native}"}},"data":[{row}]}}'


def reply(rows: str) -> Reply:
    return Reply(f'{{"code":"0","msg":"","data":[{rows}]}}'.encode())


def row(line: Line, number: int, price: int, size: int, ts: int, buyer_is_maker: bool) -> str:
    side, p = "sell" if buyer_is_maker else "buy", line.printer
    return (
        f'{{"instId":"{line.native}","tradeId":"{number}","px":"{p.price(price)}","sz":"{p.size(size)}","side":"{side}",'
        f'"ts":"{ts // MILLIS}"'
    )


def trade(line: Line, t: Trade) -> str:
    return f'{row(line, t.id, t.price, t.size, t.ts, t.buyer_is_maker)},"source":"0"}}'


def trades(line: Line, trades: Sequence[Trade]) -> Reply:
    return reply(",".join(trade(line, t) for t in reversed(trades)))


def volumes(line: Line, bar: Kline) -> tuple[str, str, str]:
    """As they are told: in contracts or the base asset; in the base asset, of spot in the quote asset; in the quote asset."""
    spec = line.spec
    amount = bar.volume / 10**spec.size_decimals
    paid = bar.notional * spec.tick_size / 10**spec.size_decimals
    if spec.kind == "spot":
        in_ccy = in_quote = paid
    elif spec.inverse:
        in_quote = amount * spec.contract_size
        in_ccy = in_quote * amount / paid if paid else 0.0
    else:
        in_ccy, in_quote = amount * spec.contract_size, paid * spec.contract_size
    return line.printer.size(bar.volume), trimmed(f"{in_ccy:.8f}"), trimmed(f"{in_quote:.8f}")


def candle(line: Line, bar: Kline, *, over: bool) -> str:
    p = line.printer
    prices = '","'.join(p.price(price) for price in (bar.open, bar.high, bar.low, bar.close))
    traded = '","'.join(volumes(line, bar))
    return f'["{bar.open_time // MILLIS}","{prices}","{traded}","{int(over)}"]'


def checksum(view: View, p: Printer) -> int:
    """The best 25 levels, a bid and an ask in turn, as long as there are any."""
    parts: list[str] = []
    bids, asks = view.bids[:25], view.asks[:25]
    for i in range(max(len(bids), len(asks))):
        for side in (bids, asks):
            parts += [f"{p.price(side[i][0])}:{p.size(side[i][1])}"] if i < len(side) else []
    return int.from_bytes(crc32(":".join(parts).encode()).to_bytes(4, "big"), "big", signed=True)


def listing(line: Line) -> str:
    spec = line.spec
    spot, contract = spec.kind == "spot", f"{spec.contract_size:g}"
    row = {
        "instType": type_of(spec),
        "instId": spec.native,
        "uly": "" if spot else f"{spec.base}-{spec.quote}",
        "instFamily": "" if spot else f"{spec.base}-{spec.quote}",
        "baseCcy": spec.base if spot else "",
        "quoteCcy": spec.quote if spot else "",
        "settleCcy": "" if spot else spec.base if spec.inverse else spec.quote,
        "ctVal": "" if spot else contract,
        "ctMult": "" if spot else "1",
        "ctValCcy": "" if spot else spec.quote if spec.inverse else spec.base,
        "ctType": "" if spot else "inverse" if spec.inverse else "linear",
        "tickSz": line.printer.price(1),
        "lotSz": line.printer.size(1),
        "minSz": line.printer.size(1),
        "state": "suspend" if line.instrument.halted else "live",
    }
    return msgspec.json.encode(row).decode()

// The figures that a card can show of the chosen instrument: what each is called, what it means, and how it is read. Each `raw` is the
// API's own number.

import type { Row } from "../../state/market.ts";
import { meaning, metricText } from "../../state/catalogue.ts";
import { base } from "../../state/samples.ts";
import type { Session } from "../../state/session.ts";
import { age, bps, DASH, fixed, signed, size } from "../../ui/format.ts";

type Side = "up" | "down" | "";

export interface Reading {
  readonly text: string;
  readonly raw: number | null;
  readonly sub?: string;
  readonly subRaw?: number | null;
  readonly side?: Side;
  /** A hole or the warm-up touches it. */
  readonly partial?: boolean;
}

export interface Figure {
  readonly id: string;
  readonly label: string;
  readonly title: string;
  readonly read: (row: Row, session: Session) => Reading;
}

const sideOf = (number: number | null): Side => (!number ? "" : number > 0 ? "up" : "down");

export const FIGURES: readonly Figure[] = [
  { id: "mid", label: "Mid", title: "Half way between bid and ask", read: mid },
  {
    id: "bid", label: "Bid", title: "Best bid of the book and its size",
    read: ({ quote: q, priceDecimals: p, sizeDecimals: s }) => ({ text: fixed(q?.bid, p), raw: q?.bid ?? null, sub: size(q?.bid_size, s), subRaw: q?.bid_size ?? null }),
  },
  {
    id: "ask", label: "Ask", title: "Best ask of the book and its size",
    read: ({ quote: q, priceDecimals: p, sizeDecimals: s }) => ({ text: fixed(q?.ask, p), raw: q?.ask ?? null, sub: size(q?.ask_size, s), subRaw: q?.ask_size ?? null }),
  },
  {
    id: "spread", label: "Spread", title: "Ask less bid; in basis points of the mid",
    read: (row) => ({ text: fixed(row.spread, row.priceDecimals), raw: row.spread, sub: bps(row.spreadBps), subRaw: row.spreadBps }),
  },
  {
    id: "imbalance", label: "Imbalance", title: "(bids − asks) / (bids + asks) over the best levels: +1 all bids, −1 all asks",
    read: ({ metrics: m }) => ({ text: signed(m?.imbalance ?? null, 2), raw: m?.imbalance ?? null, side: sideOf(m?.imbalance ?? null) }),
  },
  { id: "microprice", label: "Microprice", title: "The mid weighted by the other side's size; below, its distance from the mid", read: microprice },
  { id: "last", label: "Last trade", title: "The latest trade: price, size, aggressor and age", read: last },
  { id: "trade-rate", label: "Trades/s", title: "Trades a second over the last ten seconds, of the recording's time in a replay", read: rate },
  {
    id: "messages", label: "Messages/s", title: "Messages of all venues together, a second",
    read: (_, { status }) => ({ text: fixed(status?.frames_per_second, 0), raw: status?.frames_per_second ?? null, sub: "all venues" }),
  },
];

/** Those shown until the viewer chooses. */
export const ORDINARY: readonly string[] = FIGURES.slice(0, 8).map((f) => f.id);

/** A sampled metric by its full name, as a card: `metric:vwap_5m`. */
export function metricFigure(name: string): Figure {
  return {
    id: `metric:${name}`, label: name, title: name,
    read: (row, session) => {
      const line = session.view.samples.lines.get(name);
      const raw = line?.values.at(-1) ?? null;
      const { unit } = meaning(row.id, name, session.figures.catalogue);
      const partial = raw !== null && (line?.partial.at(-1) ?? false);
      return { text: metricText(raw, unit, row.priceDecimals), raw, sub: partial ? "incomplete" : metricSub(raw, unit, row), partial, side: /^(cvd|delta|ofi)/.test(name) ? sideOf(raw) : "" };
    },
  };
}

/** A price is the better understood by its distance from the mid. */
function metricSub(raw: number | null, unit: string, row: Row): string {
  if (unit !== "price" && unit !== "quote price") return "";
  return raw === null || !row.mid ? "" : `mid ${signed((row.mid / raw - 1) * 1e4, 2)} bps`;
}

export function figureOf(id: string): Figure | undefined {
  return id.startsWith("metric:") ? metricFigure(id.slice(7)) : FIGURES.find((f) => f.id === id);
}

/** The sampled metrics that are worth a card, the most asked for first. */
export function cardMetrics(names: Iterable<string>): string[] {
  const first = ["vwap", "vol", "volume", "cvd", "buy"];
  const rank = (name: string): number => (first.findIndex((f) => base(name).split("_")[0] === f) + 1 || first.length + 1);
  return [...names].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

function mid(row: Row, session: Session): Reading {
  const ago = row.lastRecv ? `${age((session.now - row.lastRecv) / 1e6)} ago` : "";
  return { text: fixed(row.mid, row.priceDecimals + 1), raw: row.mid, sub: ago, side: row.direction > 0 ? "up" : row.direction < 0 ? "down" : "" };
}

function microprice({ metrics: m, priceDecimals: p }: Row): Reading {
  const away = m?.microprice != null && m.mid ? (m.microprice / m.mid - 1) * 1e4 : null;
  return { text: fixed(m?.microprice, p + 1), raw: m?.microprice ?? null, sub: away === null ? DASH : `${signed(away, 3)} bps` };
}

function last(row: Row, session: Session): Reading {
  const { lastTrade: trade } = session.view;
  const ago = trade ? age((session.now - trade.ts_recv) / 1e6) : "";
  const sub = trade ? `${size(trade.size, row.sizeDecimals)} · ${ago}` : DASH;
  return { text: fixed(trade?.price, row.priceDecimals), raw: trade?.price ?? null, sub, side: trade?.side === "buy" ? "up" : trade?.side === "sell" ? "down" : "" };
}

function rate(_: Row, session: Session): Reading {
  const { lastTrade, rate } = session.view;
  const perSecond = rate.perSecond(Math.max(session.now, lastTrade?.ts_recv ?? 0) / 1000);
  return { text: fixed(perSecond, 1), raw: perSecond, sub: "over 10 s" };
}

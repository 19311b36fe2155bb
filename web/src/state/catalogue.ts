// What the sampled metrics are: which class a full name is of, where on the panel it stands, how its number is written. Pure.

import type { MetricInfo } from "../api/types.ts";
import { bps, DASH, fixed } from "../ui/format.ts";
import { base } from "./samples.ts";

/** Headings in their order, and the names that stand under each. What is in none stands under its family, last. */
const HEADINGS: readonly (readonly [string, RegExp])[] = [
  ["Price", /^(vwap|twap|anchored|session|micro|mid|last|mark|index|close)/],
  ["Spread and cost", /spread|cost|slippage|impact/],
  ["Depth", /depth|imbalance|slope/],
  ["Volatility", /vol(atility)?_|volatility|realised_var|realized|parkinson|garman|yang|tsrv|two_scale|atr|stdev|bbands/],
  ["Profile", /^profile|poc|value_area/],
  ["Flow", /volume|cvd|delta|flow|ofi|trade|rate|arrival|large|size|vpin|kyle|lambda|buy|sell|notional|liquidation/],
  ["Derivatives", /basis|funding|open_interest|premium/],
];
const INDICATORS = "Indicators";
/** Amounts of this instrument, and plain numbers: the word would only take the room. The foot of the panel tells it. */
const UNIT_LESS = /^$|^1$|^ratio$|year|size|asset|amount|count|trades| to |,/;

export class Catalogue {
  private readonly byName: ReadonlyMap<string, MetricInfo>;

  constructor(list: readonly MetricInfo[] = []) {
    this.byName = new Map(list.map((info) => [info.name, info]));
  }

  get known(): boolean {
    return this.byName.size > 0;
  }

  /** The class of a full name: the longest name that its words begin with. */
  of(fullName: string): MetricInfo | undefined {
    const words = base(fullName).split("_");
    for (let end = words.length; end > 0; end--) {
      const info = this.byName.get(words.slice(0, end).join("_"));
      if (info) return info;
    }
    return undefined;
  }

  heading(fullName: string): string {
    const info = this.of(fullName);
    if (info && /technical|indicator/.test(info.family)) return INDICATORS;
    const name = info?.name ?? fullName;
    return HEADINGS.find(([, fits]) => fits.test(name))?.[0] ?? (info ? title(info.family) : "Others");
  }
}

/** Full names under their headings, in the order of the headings; each in the order it was given. */
export function grouped(names: Iterable<string>, catalogue: Catalogue): [string, string[]][] {
  const found = new Map<string, string[]>();
  for (const name of names) {
    const heading = catalogue.heading(name);
    const under = found.get(heading);
    if (under) under.push(name);
    else found.set(heading, [name]);
  }
  const order = [...HEADINGS.map(([heading]) => heading), INDICATORS];
  const place = (heading: string): number => (order.indexOf(heading) + 1 || order.length + 1);
  return [...found].sort(([a], [b]) => place(a) - place(b) || a.localeCompare(b));
}

const title = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1).replaceAll("_", " ");

/** A value with its unit. `price` takes the instrument's decimals; what has no unit four significant digits at least. */
export function metricText(value: number | null | undefined, unit: string, priceDecimals: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  if (unit === "price" || unit === "quote price") return fixed(value, priceDecimals);
  if (unit === "bps") return bps(value);
  if (unit === "%" || unit === "percent") return `${short(value)}%`;
  if (unit === "1/s") return `${short(value)}/s`;
  return UNIT_LESS.test(unit) ? short(value) : `${short(value)} ${unit}`;
}

/** Four or five significant digits, thousands with commas, large ones as K, M, B: 0.0123, 1.234, 12,345, 1.23M. */
export function short(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude === 0) return "0";
  if (magnitude >= 1e9) return `${fixed(value / 1e9, 2)}B`;
  if (magnitude >= 1e6) return `${fixed(value / 1e6, 2)}M`;
  if (magnitude >= 1e5) return `${fixed(value / 1e3, 1)}K`;
  if (magnitude < 1e-7) return value.toExponential(2).replaceAll("-", "−");
  const digits = Math.floor(Math.log10(magnitude)); // of the first significant one
  const decimals = magnitude >= 1000 ? 1 : Math.min(10, Math.max(0, 3 - digits));
  return fixed(value, Number.isInteger(value) ? 0 : decimals);
}

/** What a group's figures are, by the name before the member's number: docs/analytics.md. */
const GROUP_FIGURES: Readonly<Record<string, readonly [unit: string, text: string]>> = {
  members: ["", "How many members are in: a venue that is stale or disconnected is out."],
  bid: ["price", "The best bid of those that are in."],
  bid_size: ["size", "What they bid there together."],
  bid_member: ["", "The number of the first member that bids it."],
  ask: ["price", "The best offer of those that are in."],
  ask_size: ["size", "What they offer there together."],
  ask_member: ["", "The number of the first member that offers it."],
  arbitrage_bps: ["bps", "10⁴ (bid − ask) / mid: above 0 one venue buys for more than another one sells."],
  basis: ["bps", "10⁴ (midₖ − mid₁) / mid₁: how much dearer this member is than the first."],
  correlation: ["−1 to 1", "Of the returns over whole seconds of the last five minutes, this member's with the first one's."],
  lag: ["ms", "By how much this member follows the first; below 0 it moves before it."],
  lag_correlation: ["−1 to 1", "How closely the two move, at that lag."],
};

/** Unit and meaning of what is shown under `scope`, an instrument or a group. */
export function meaning(scope: string, name: string, catalogue: Catalogue): { unit: string; text: string; whole: string } {
  if (scope.startsWith("group:")) {
    const [unit, text] = GROUP_FIGURES[base(name)] ?? ["", ""];
    return { unit, text, whole: text };
  }
  const info = catalogue.of(name);
  return { unit: info?.unit ?? "", text: explained(info), whole: info?.text ?? "" };
}

/** The docstring as one line or two: what it is, then how it is reckoned. */
export function explained(info: MetricInfo | undefined): string {
  if (!info) return "";
  const first = info.text.split(/\n\s*\n/, 1)[0] ?? "";
  return first.replaceAll("`", "").replace(/\s+/g, " ").trim();
}

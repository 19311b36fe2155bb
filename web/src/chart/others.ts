// Other instruments beside the one that is shown: how they went since a common start, and of the same thing at another venue how far apart
// the two are. Between different things (BTC and ETH, dollars and euros) a distance means nothing, and none is told. Pure.

import type { Row } from "../state/market.ts";
import { pairOf, sameMoney } from "../state/venues.ts";
import { venueOf } from "../ui/format.ts";

/** 10⁴ (other / main − 1): how much dearer the other one is. */
export const apart = (other: number | null, main: number | null): number | null =>
  other === null || main === null || main === 0 ? null : 10_000 * (other / main - 1);

/** How much it moved since the start: 0.01 is 1 %. */
export const moved = (now: number | null, start: number | null): number | null => (now === null || start === null || start === 0 ? null : now / start - 1);

/** Whether a distance between their prices is a basis: one asset, in one money or two kinds of dollars; a perpetual beside its spot, too. */
export function sameThing(id: string, other: string): boolean {
  const [a, b] = [pairOf(id), pairOf(other)];
  return a.base === b.base && sameMoney(a.quote, b.quote);
}

const baseOf = (id: string): string => pairOf(id).base;

/** What can be compared with `id`, the same thing at other venues first; `query` is a part of the name. */
export function candidates(rows: Iterable<Row>, id: string, taken: readonly string[], query: string): string[] {
  const wanted = query.trim().toLowerCase();
  const ids = [...rows].map((row) => row.id).filter((other) => other !== id && !taken.includes(other) && other.toLowerCase().includes(wanted));
  const rank = (other: string): number => Number(baseOf(other) !== baseOf(id));
  return ids.sort((a, b) => rank(a) - rank(b) || venueOf(a).localeCompare(venueOf(b)) || a.localeCompare(b));
}

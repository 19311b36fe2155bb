// Other instruments beside the one that is shown: their closes at its places, and how far they are apart. Pure.

import type { Row } from "../state/market.ts";
import { symbolOf, venueOf } from "../ui/format.ts";

/** 10⁴ (other / main − 1): how much dearer the other one is. */
export const apart = (other: number | null, main: number | null): number | null =>
  other === null || main === null || main === 0 ? null : 10_000 * (other / main - 1);

const baseOf = (id: string): string => symbolOf(id).split("-")[0] ?? "";

/** What can be compared with `id`, the same thing at other venues first; `query` is a part of the name. */
export function candidates(rows: Iterable<Row>, id: string, taken: readonly string[], query: string): string[] {
  const wanted = query.trim().toLowerCase();
  const ids = [...rows].map((row) => row.id).filter((other) => other !== id && !taken.includes(other) && other.toLowerCase().includes(wanted));
  const rank = (other: string): number => Number(baseOf(other) !== baseOf(id));
  return ids.sort((a, b) => rank(a) - rank(b) || venueOf(a).localeCompare(venueOf(b)) || a.localeCompare(b));
}

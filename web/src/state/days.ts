// The bar of the UTC day of each instrument of a list: of the server's memory for all at once, and where that began in the middle of
// the day, of the lake one by one, so that lists never hold the places at which what somebody looks at is asked for. Pure.

import type { Bar } from "../api/types.ts";

export type DayBar = Bar & { readonly notional?: number | null };

/** What is known better: the later day, then the whole one, then the one that saw more trades, which is the server's own rule. */
export function better(known: DayBar | null, told: DayBar): DayBar {
  if (!known || told.ts_open !== known.ts_open) return known && known.ts_open > told.ts_open ? known : told;
  if (told.complete !== known.complete) return told.complete ? told : known;
  return (told.trades ?? 0) >= (known.trades ?? 0) ? told : known;
}

/** The newest bar of each instrument. */
export function byInstrument(bars: readonly Bar[]): Map<string, DayBar> {
  return new Map(bars.map((bar) => [bar.instrument, bar]));
}

/** In pieces of at most `size`. */
export function pieces<T>(list: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}

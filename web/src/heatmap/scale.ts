// From a size to a colour: logarithmic between two bounds, so that a wall of ten times the size is as far from the ordinary as the
// ordinary is from a tenth of it. The upper bound is the size that one bin in two hundred passes, rounded up to 1, 2 or 5 times a
// power of ten and kept until it is wrong by half, so that colours do not breathe. Contrast moves the lower bound.

import type { Columns } from "./columns.ts";

export const SHADES = 256; // 0: nothing rests there
const HIGH_SHARE = 0.995;
const SAMPLED = 60; // columns looked at
const MOST_DECADES = 3.2;
const LEAST_DECADES = 0.5;

export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** The next 1, 2 or 5 times a power of ten, at or above. */
export function niceUp(x: number): number {
  if (!(x > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(x) + 1e-12);
  const multiple = [1, 2, 5, 10].find((m) => m * power >= x * (1 - 1e-9)) ?? 10;
  return power >= 1 ? multiple * power : multiple / Math.round(1 / power);
}

/** `contrast` 0 to 100. */
export function boundsOf(high: number, contrast: number): Bounds {
  return { low: high / 10 ** (MOST_DECADES - ((MOST_DECADES - LEAST_DECADES) * contrast) / 100), high };
}

export function shadeOf(size: number, { low, high }: Bounds): number {
  if (!(size > 0)) return 0;
  const share = Math.log(size / low) / Math.log(high / low);
  return 1 + Math.round(Math.max(0, Math.min(1, share)) * (SHADES - 2));
}

/** The size that only one of two hundred bins passes; null: nothing is known yet. */
export function highOf(columns: Columns): number | null {
  const slots = [...columns.bySlot.keys()];
  const stride = Math.max(1, Math.floor(slots.length / SAMPLED));
  const found: number[] = [];
  for (let i = slots.length - 1; i >= 0; i -= stride) {
    for (const size of columns.bySlot.get(slots[i] ?? 0)?.sizes ?? []) if (size > 0) found.push(size);
  }
  if (found.length === 0) return null;
  found.sort((a, b) => a - b);
  return found[Math.min(found.length - 1, Math.floor(found.length * HIGH_SHARE))] ?? null;
}

/** Keeps the bound while it is about right. */
export function keptHigh(before: number | null, measured: number): number {
  if (before !== null && measured <= before * 1.5 && measured >= before / 4) return before;
  return niceUp(measured);
}

/** Round sizes for the legend, from low to high. */
export function legendValues({ low, high }: Bounds): number[] {
  const found: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high) + 1e-9; power++) {
    const value = power >= 0 ? 10 ** power : 1 / 10 ** -power;
    if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
  }
  return found;
}

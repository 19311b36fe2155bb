// What part of time and price is on screen, and how it is moved. Pure.
//
// Times in µs, lengths in CSS pixels. The view is kept on the grid of the screen's own pixels, so that a pixel always shows the same piece
// of time and price while the picture scrolls: nothing shimmers.

export interface Viewport {
  readonly right: number; // the time at the right edge
  readonly perPx: number; // µs
  readonly centre: number; // the price in the middle
  readonly pricePerPx: number;
}

export interface Area {
  readonly width: number;
  readonly height: number;
}

export interface Limits {
  readonly perPx: readonly [number, number];
  readonly pricePerPx: readonly [number, number];
}

const clamp = (x: number, [low, high]: readonly [number, number]): number => Math.max(low, Math.min(high, x));

export const xOf = (v: Viewport, a: Area, time: number): number => a.width - (v.right - time) / v.perPx;
export const timeAt = (v: Viewport, a: Area, x: number): number => v.right - (a.width - x) * v.perPx;
export const yOf = (v: Viewport, a: Area, price: number): number => a.height / 2 - (price - v.centre) / v.pricePerPx;
export const priceAt = (v: Viewport, a: Area, y: number): number => v.centre - (y - a.height / 2) * v.pricePerPx;

/** Closer (factor > 1) or farther; what is at `x` stays there. */
export function zoomTime(v: Viewport, a: Area, factor: number, x: number, limits: Limits): Viewport {
  const perPx = clamp(v.perPx / factor, limits.perPx);
  return { ...v, perPx, right: timeAt(v, a, x) + (a.width - x) * perPx };
}

export function zoomPrice(v: Viewport, a: Area, factor: number, y: number, limits: Limits): Viewport {
  const pricePerPx = clamp(v.pricePerPx / factor, limits.pricePerPx);
  return { ...v, pricePerPx, centre: priceAt(v, a, y) + (y - a.height / 2) * pricePerPx };
}

/** The picture follows the hand: `dx` to the right shows what was before. */
export function pan(v: Viewport, dx: number, dy: number): Viewport {
  return { ...v, right: v.right - dx * v.perPx, centre: v.centre + dy * v.pricePerPx };
}

/** On the grid of device pixels. */
export function snapped(v: Viewport, ratio: number): Viewport {
  const [t, p] = [v.perPx / ratio, v.pricePerPx / ratio];
  return { ...v, right: Math.round(v.right / t) * t, centre: Math.round(v.centre / p) * p };
}

const CALM = 0.22; // of the height: the price may wander so far from the middle before the view follows

/** Where the middle is to be so that the price is in view; the same where it is well inside. */
export function followed(v: Viewport, a: Area, mid: number | null): number {
  if (mid === null) return v.centre;
  return Math.abs(mid - v.centre) / v.pricePerPx > a.height * CALM ? mid : v.centre;
}

/** The server's clock, smooth: small corrections come in slowly, large ones (a seek, a laptop that slept) at once. */
export class Playhead {
  private offset: number | null = null;

  at(serverUs: number, performanceMs: number): number {
    const offset = serverUs - performanceMs * 1000;
    if (this.offset === null || Math.abs(offset - this.offset) > 1e6) this.offset = offset;
    else this.offset += (offset - this.offset) * 0.02;
    return this.offset + performanceMs * 1000;
  }

  clear(): void {
    this.offset = null;
  }
}

// The columns as a bitmap of their own: one pixel a column and bin. Each column is painted once, when it comes or when the colours change;
// what is on screen is cut out of it, stretched and shifted. So a frame costs one blit, however many columns are on it.
//
// The bitmap is a ring in time (slot mod `CAPACITY`) and a window of `BINS` bins in price; a view that leaves the window moves it, and the
// columns that are seen are painted anew. Bounded: 2048 × 1024 pixels, 8 MB.

import { CAPACITY, type Column, type Columns } from "./columns.ts";
import { type Bounds, shadeOf } from "./scale.ts";

export const BINS = 1024;

export interface Cut {
  readonly x: number; // in the bitmap
  readonly columns: number;
  readonly slot: number; // of the first
}

export class Raster {
  painted = 0; // columns so far: what a test counts
  private readonly canvas = new OffscreenCanvas(CAPACITY, BINS);
  private readonly g: OffscreenCanvasRenderingContext2D | null;
  private readonly one = new ImageData(1, BINS);
  private readonly pixels = new Uint32Array(this.one.data.buffer);
  private readonly drawn: (Column | null | undefined)[] = new Array(CAPACITY).fill(undefined); // null: a gap
  private readonly slots = new Float64Array(CAPACITY).fill(NaN);
  private readonly bare = new Uint8Array(CAPACITY).fill(1); // nothing is painted there
  private lowest = 0; // bin at the bottom

  constructor() {
    this.g = this.canvas.getContext("2d", { willReadFrequently: false });
  }

  /** Everything is to be painted anew: other colours, other columns. */
  forget(): void {
    this.slots.fill(NaN);
  }

  /** Brings the window to where bins `from` to `to` lie in it. */
  reach(from: number, to: number): void {
    if (from >= this.lowest && to < this.lowest + BINS) return;
    this.lowest = Math.round((from + to - BINS) / 2);
    this.forget();
  }

  /** Paints those columns of a range of slots that are not on the bitmap yet. */
  paint(columns: Columns, live: Column | null, from: number, to: number, shades: Uint32Array, bounds: Bounds): void {
    for (let slot = Math.max(from, to - CAPACITY + 1); slot <= to; slot++) {
      const place = mod(slot);
      const column = live && slot === live.slot ? live : (columns.at(slot) ?? null);
      if (this.slots[place] === slot && this.drawn[place] === column) continue;
      this.slots[place] = slot;
      this.drawn[place] = column;
      if (!column?.proved && this.bare[place]) continue;
      this.bare[place] = column?.proved ? 0 : 1;
      this.column(place, column, shades, bounds);
    }
  }

  private column(place: number, column: Column | null, shades: Uint32Array, bounds: Bounds): void {
    this.pixels.fill(0); // transparent: not known
    if (column?.proved) {
      const top = this.lowest + BINS - 1;
      column.sizes.forEach((size, k) => {
        const row = top - (column.low + k);
        if (row >= 0 && row < BINS) this.pixels[row] = shades[shadeOf(size, bounds)] ?? 0;
      });
    }
    this.g?.putImageData(this.one, place, 0);
    this.painted++;
  }

  /** Draws slots `from` to `to` and the whole window onto a canvas in device pixels; `x` and `y` place a slot and the top of a bin. */
  blit(g: CanvasRenderingContext2D, from: number, to: number, x: (slot: number) => number, y: (bin: number) => number): void {
    g.imageSmoothingEnabled = false;
    const [top, bottom] = [y(this.lowest + BINS), y(this.lowest)];
    for (const cut of cuts(from, to)) {
      const left = x(cut.slot);
      g.drawImage(this.canvas, cut.x, 0, cut.columns, BINS, left, top, x(cut.slot + cut.columns) - left, bottom - top);
    }
  }
}

const mod = (slot: number): number => ((slot % CAPACITY) + CAPACITY) % CAPACITY;

/** Where a range of slots lies in the ring: one piece, or two around its end. */
export function cuts(from: number, to: number): Cut[] {
  const many = Math.min(CAPACITY, to - from + 1);
  if (many <= 0) return [];
  const first = to - many + 1;
  const x = mod(first);
  const here = Math.min(many, CAPACITY - x);
  const pieces = [{ x, columns: here, slot: first }];
  if (here < many) pieces.push({ x: 0, columns: many - here, slot: first + here });
  return pieces;
}

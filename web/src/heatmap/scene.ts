// The state between the store and a frame: what is in view, the colours in force, the column that fills. No DOM but canvases.
//
// A frame is drawn when something changed; while the view follows, also when the picture has moved by one pixel of the screen. With reduced
// motion it moves by whole columns.

import type { Book } from "../api/types.ts";
import type { Session } from "../state/session.ts";
import type { Surface } from "../ui/canvas.ts";
import { type Ink, inks } from "../ui/ink.ts";
import { between, type Bubble, type BubbleScale, largeOf, lengthFor, mostRadius, together } from "./bubbles.ts";
import { pixelsOf, shadesOf } from "./colours.ts";
import { type Column, type Columns, binOf, live } from "./columns.ts";
import { areaOf, drawMap, slotsOf } from "./layers.ts";
import { Raster } from "./raster.ts";
import { type Bounds, boundsOf, highOf, keptHigh } from "./scale.ts";
import type { HeatStore } from "./store.ts";
import { type Area, type Limits, Playhead, priceAt, snapped, timeAt, type Viewport } from "./viewport.ts";

const COLUMN_PX = 2; // at the beginning
const BIN_PX = 2.5;
const MARGIN_PX = 26; // between now and the right edge
const MEASURED_EVERY = 40; // columns
const DEEP = 5; // slots: an older sample says nothing of the deep levels of now

export class Scenery {
  view: Viewport | null = null;
  area: Area = { width: 10, height: 10 };
  ink: Ink = inks();
  shades = pixelsOf(shadesOf("dark"));
  bounds: Bounds = boundsOf(1, 50);
  live: Column | null = null;
  now = 0;
  frames = 0; // drawn so far: what a test counts
  readonly raster = new Raster();
  private from: { book: Book | null; before: Column | undefined } = { book: null, before: undefined }; // what `live` was made of
  private readonly playhead = new Playhead();
  private high: number | null = null;
  private measuredAt = -Infinity;
  private columns: Columns | null = null;
  shownBubbles: readonly Bubble[] = [];
  largest: BubbleScale = { size: 1, radius: 1 };
  private largestOf = "";

  /** Takes over what is new; false where there is nothing to draw yet. */
  advance(session: Session, store: HeatStore, on: Surface, contrast: number): Columns | null {
    const { columns } = store;
    this.area = areaOf(on.width, on.height);
    if (columns !== this.columns) this.adopt(columns);
    if (!columns) return null;
    this.now = this.clockOf(session, columns);
    this.live = this.liveOf(session, columns);
    this.measure(columns, contrast);
    if (!this.view) this.view = this.begin(columns);
    return this.view ? columns : null;
  }

  theme(name: "dark" | "light"): void {
    this.ink = inks();
    this.shades = pixelsOf(shadesOf(name));
    this.raster.forget();
  }

  /** The view at the newest time; `stepwise`: by whole columns. */
  follow(columns: Columns, stepwise: boolean): void {
    if (!this.view) return;
    const now = stepwise ? Math.ceil(this.now / columns.width) * columns.width : this.now;
    this.view = { ...this.view, right: now + MARGIN_PX * this.view.perPx };
  }

  draw(on: Surface, columns: Columns, bubbles: readonly Bubble[], decimals: number, ended: boolean): void {
    if (!this.view) return;
    const view = snapped(this.view, on.ratio);
    const [from, to] = slotsOf(view, this.area, columns.width);
    const { area, raster, ink } = this;
    raster.reach(binOf(priceAt(view, area, area.height), columns.step), binOf(priceAt(view, area, 0), columns.step));
    raster.paint(columns, this.live, from, Math.min(to, Math.max(columns.last, this.live?.slot ?? columns.last)), this.shades, this.bounds);
    this.shownBubbles = this.bubblesOf(bubbles, view, columns);
    drawMap(on, { view, area, columns, live: this.live, raster, bubbles: this.shownBubbles, largest: this.largest, now: this.now, decimals, ink, ended });
    this.frames++;
  }

  limits(columns: Columns, ratio: number): Limits {
    const { width, step } = columns;
    return { perPx: [width / 60, width / Math.max(0.5, 1 / ratio)], pricePerPx: [step / 40, step / Math.max(0.75, 1 / ratio)] };
  }

  get mid(): number | null {
    const column = this.live ?? this.columns?.at(this.columns.last);
    return column && column.bid !== null && column.ask !== null ? (column.bid + column.ask) / 2 : null;
  }

  /** µs after which the picture that follows has moved by one pixel of the screen. */
  pixelTime(ratio: number): number {
    return (this.view?.perPx ?? 1e6) / ratio;
  }

  private adopt(columns: Columns | null): void {
    const before = this.columns;
    this.columns = columns;
    this.raster.forget();
    this.measuredAt = -Infinity;
    this.live = null;
    if (!columns || !before || columns.step !== before.step) this.high = null;
    if (!columns) {
      this.view = null;
      this.playhead.clear();
    } else if (before && this.view) {
      const { perPx, pricePerPx, ...rest } = this.view;
      this.view = { ...rest, perPx: (perPx * columns.width) / before.width, pricePerPx: (pricePerPx * columns.step) / before.step };
    }
  }

  private begin(columns: Columns): Viewport | null {
    const newest = this.live ?? columns.at(columns.last);
    const price = this.mid ?? (newest && newest.sizes.length > 0 ? (newest.low + newest.sizes.length / 2) * columns.step : null);
    if (price === null) return null;
    return { right: this.now, perPx: columns.width / COLUMN_PX, centre: price, pricePerPx: columns.step / BIN_PX };
  }

  /** A replay's time stands between the server's words, so it goes by its data. */
  private clockOf(session: Session, columns: Columns): number {
    const seen = Math.max(session.view.book?.ts_recv ?? 0, (columns.last + 1) * columns.width - columns.width);
    if (session.health.dead) return this.now || seen;
    if (session.status?.mode === "replay") return seen;
    return Math.max(this.playhead.at(session.now, performance.now()), Number.isFinite(seen) ? seen : 0);
  }

  private liveOf(session: Session, columns: Columns): Column | null {
    const { view, market, health } = session;
    const row = market.rows.get(view.id);
    if (!view.book || !row || health.dead) return null;
    const slot = Math.max(Math.floor(view.book.ts_recv / columns.width), columns.last);
    const before = slot - columns.last <= DEEP ? columns.at(columns.last) : undefined;
    if (this.live?.slot === slot && this.from.book === view.book && this.from.before === before) return this.live;
    this.from = { book: view.book, before };
    return live(view.book, view.bookDepth, before, slot, columns.step, { price: row.priceDecimals, size: row.sizeDecimals });
  }

  private measure(columns: Columns, contrast: number): void {
    let high = this.high;
    if (columns.revision - this.measuredAt > MEASURED_EVERY || high === null) {
      const measured = highOf(columns) ?? (this.live ? Math.max(0, ...this.live.sizes) || null : null);
      if (measured !== null) high = keptHigh(high, measured);
      this.measuredAt = columns.revision;
    }
    const bounds = boundsOf(high ?? 1, contrast);
    this.high = high;
    if (bounds.low === this.bounds.low && bounds.high === this.bounds.high) return;
    this.bounds = bounds;
    this.raster.forget();
  }

  private bubblesOf(all: readonly Bubble[], view: Viewport, columns: Columns): readonly Bubble[] {
    const length = lengthFor(view.perPx);
    const slack = 20 * view.perPx;
    const [from, to] = [timeAt(view, this.area, 0) - slack, view.right + slack];
    const span = Math.max(1, length);
    const step = Math.max(columns.step, 6 * view.pricePerPx);
    const seen = between(all, Math.floor(from / span) * span, to);
    const items = together(seen, length, step);
    const key = `${length} ${step} ${all.length >> 6} ${this.area.height}`; // circles change their scale seldom, not with each trade
    if (key !== this.largestOf) [this.largestOf, this.largest] = [key, { size: largeOf(items), radius: mostRadius(this.area.height) }];
    return items;
  }
}

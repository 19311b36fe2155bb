// The crosshair, on a canvas of its own so that moving it draws nothing else, and in words what is under it.

import type { Session } from "../state/session.ts";
import { Surface } from "../ui/canvas.ts";
import { value } from "../ui/dom.ts";
import { clock, fixed, size } from "../ui/format.ts";
import { stepDecimals } from "../book/grouping.ts";
import { type Bubble, radiusOf } from "./bubbles.ts";
import { binOf, type Column, type Columns, sizeAt } from "./columns.ts";
import { AXIS, tag } from "./layers.ts";
import type { Scenery } from "./scene.ts";
import type { HeatStore } from "./store.ts";
import { priceAt, timeAt } from "./viewport.ts";

const REACH_PX = 7; // of a trade to the pointer

export class Pointer {
  readonly surface = new Surface("heat-cross", () => this.draw());
  readonly text = value("heat-read num", "heat-read");
  private at: { x: number; y: number } | null = null;
  private readonly session: Session;
  private readonly data: HeatStore;
  private readonly scene: Scenery;

  constructor(session: Session, data: HeatStore, scene: Scenery) {
    this.session = session;
    this.data = data;
    this.scene = scene;
  }

  point(at: { x: number; y: number } | null): void {
    this.at = at;
    this.draw();
  }

  draw(): void {
    const { at, scene, surface } = this;
    const { view, area } = scene;
    if (!surface.ready()) return;
    surface.g.clearRect(0, 0, surface.width, surface.height);
    const columns = this.data.columns;
    if (!at || !view || !columns || at.x > area.width || at.y > area.height) {
      this.text.set("", null);
      return;
    }
    this.cross(at.x, at.y, priceAt(view, area, at.y), timeAt(view, area, at.x));
    this.read(columns, timeAt(view, area, at.x), priceAt(view, area, at.y));
  }

  private cross(x: number, y: number, price: number, time: number): void {
    const { surface: { g, width, height }, scene: { area, ink } } = this;
    const row = this.session.market.rows.get(this.session.view.id);
    this.surface.font(`10.5px ${ink.font}`);
    g.strokeStyle = ink.text;
    g.globalAlpha = 0.5;
    g.setLineDash([3, 3]);
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(Math.round(x) + 0.5, 0);
    g.lineTo(Math.round(x) + 0.5, area.height);
    g.moveTo(0, Math.round(y) + 0.5);
    g.lineTo(width - AXIS, Math.round(y) + 0.5);
    g.stroke();
    g.setLineDash([]);
    g.globalAlpha = 1;
    tag(g, width - AXIS, y, AXIS, fixed(price, row?.priceDecimals ?? 2), ink);
    const text = clock(time, true);
    g.textAlign = "center";
    const wide = g.measureText(text).width + 14;
    const left = Math.max(0, Math.min(area.width - wide, x - wide / 2));
    g.fillStyle = ink.label;
    g.fillRect(left, area.height + 1, wide, height - area.height - 1);
    g.fillStyle = "#ffffff";
    g.fillText(text, left + wide / 2, height - 5);
  }

  private read(columns: Columns, time: number, price: number): void {
    const row = this.session.market.rows.get(this.session.view.id);
    const slot = Math.floor(time / columns.width);
    const { live } = this.scene;
    const column = live?.slot === slot ? live : columns.at(slot);
    const bin = binOf(price, columns.step);
    const decimals = Math.max(stepDecimals(columns.step), 0);
    const range = `${fixed(bin * columns.step, decimals)} – ${fixed((bin + 1) * columns.step, decimals)}`;
    const found = column?.proved ? sizeAt(column, bin) : null;
    const when = column ? clock(column.slot * columns.width, columns.width < 1e6) : clock(time);
    const trade = this.tradeAt();
    const parts = [when, range, this.words(column, found, bin, columns, row?.sizeDecimals ?? 4), trade ? tradeWords(trade, row?.priceDecimals ?? 2, row?.sizeDecimals ?? 4) : ""];
    this.text.set(parts.filter(Boolean).join("   "), found);
  }

  private words(column: Column | undefined, found: number | null, bin: number, { step }: Columns, decimals: number): string {
    if (!column) return "no data";
    if (!column.proved) return "the book was not proved";
    if (found === null) return "not known that far out";
    const mid = ((column.bid ?? 0) + (column.ask ?? 0)) / 2;
    return `${(bin + 0.5) * step < mid ? "bids" : "asks"} ${size(found, decimals)}`;
  }

  /** The smallest bubble under the pointer: a large one does not hide those on it. */
  private tradeAt(): Bubble | null {
    const { at, scene } = this;
    if (!at || !scene.view) return null;
    let best: Bubble | null = null;
    for (const b of scene.shownBubbles) {
      const x = scene.area.width - (scene.view.right - b.at) / scene.view.perPx;
      const y = scene.area.height / 2 - (b.price - scene.view.centre) / scene.view.pricePerPx;
      const reach = Math.max(REACH_PX, radiusOf(b.size, scene.largest));
      if ((x - at.x) ** 2 + (y - at.y) ** 2 <= reach ** 2 && (!best || b.size < best.size)) best = b;
    }
    return best;
  }
}

function tradeWords(b: Bubble, priceDecimals: number, sizeDecimals: number): string {
  const word = { buy: "bought", sell: "sold", unknown: "traded" }[b.side];
  const many = b.prints === 1 ? "" : ` in ${b.prints} prints`;
  return `${b.side === "buy" ? "▲" : b.side === "sell" ? "▼" : "·"} ${word} ${size(b.size, sizeDecimals)} at ${fixed(b.price, priceDecimals)}${many}`;
}

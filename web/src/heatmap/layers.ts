// Draws one frame of the heatmap: the bitmap, what is not proved, the touch, the trades, the axes, and the book of now at the right.

import { clock, fixed } from "../ui/format.ts";
import { hatch, type Surface, ticks } from "../ui/canvas.ts";
import type { Ink } from "../ui/ink.ts";
import { type Bubble, type BubbleScale, radiusOf } from "./bubbles.ts";
import { type Column, type Columns, sizeAt } from "./columns.ts";
import type { Raster } from "./raster.ts";
import { type Area, priceAt, timeAt, type Viewport, xOf, yOf } from "./viewport.ts";

export const AXIS = 74; // the prices at the right
export const FOOT = 18; // the times at the foot
export const BOOK = 58; // the book of now
const NARROW = 460; // without it
const LEAST_SPREAD_PX = 2.5;

export interface Scene {
  readonly view: Viewport;
  readonly area: Area;
  readonly columns: Columns;
  readonly live: Column | null;
  readonly raster: Raster;
  readonly bubbles: readonly Bubble[];
  readonly largest: BubbleScale;
  readonly now: number;
  readonly decimals: number;
  readonly ink: Ink;
  readonly ended: boolean; // there are no older columns
}

/** The part of a surface that is the map itself. */
export function areaOf(width: number, height: number): Area {
  return { width: Math.max(10, width - AXIS - (width > NARROW ? BOOK : 0)), height: Math.max(10, height - FOOT) };
}

export const slotsOf = (view: Viewport, area: Area, width: number): [from: number, to: number] => [
  Math.floor(timeAt(view, area, 0) / width), Math.floor(view.right / width),
];

export function drawMap(on: Surface, scene: Scene): void {
  const { g, ratio } = on;
  const { view, area, columns, raster, ink } = scene;
  g.fillStyle = ink.ground;
  g.fillRect(0, 0, on.width, on.height);
  on.font(`10.5px ${ink.font}`);
  const [from, to] = slotsOf(view, area, columns.width);
  g.save();
  g.beginPath();
  g.rect(0, 0, area.width, area.height);
  g.clip();
  // In device pixels and rounded: an edge between two colours is sharp, and stays where it is while the picture scrolls.
  g.setTransform(1, 0, 0, 1, 0, 0);
  const x = (slot: number): number => Math.round(xOf(view, area, slot * columns.width) * ratio);
  const y = (bin: number): number => Math.round(yOf(view, area, bin * columns.step) * ratio);
  raster.blit(g, from, to, x, y);
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  drawHoles(on, scene, from, to);
  drawBeginning(on, scene);
  drawTouch(on, scene, from, to);
  drawBubbles(on, scene);
  g.restore();
  if (area.width + AXIS < on.width) drawBook(on, scene);
  drawAxes(on, scene);
}

function columnAt({ columns, live }: Scene, slot: number): Column | undefined {
  return live?.slot === slot ? live : columns.at(slot);
}

/** Runs of slots that have no proved column: hatched where the book was not proved, bare where nothing is known of it. */
function drawHoles(on: Surface, scene: Scene, from: number, to: number): void {
  const { columns, view, area, ink } = scene;
  const begin = Math.max(from, columns.first);
  const end = Math.min(to, Math.max(columns.last, scene.live?.slot ?? -Infinity));
  let start: number | null = null;
  let kind = "";
  for (let slot = begin; slot <= end + 1; slot++) {
    const column = slot > end ? null : columnAt(scene, slot);
    const now = column === null || column?.proved ? "" : column ? "not proved" : "no data";
    if (now === kind) continue;
    if (kind && start !== null) hole(on, xOf(view, area, start * columns.width), xOf(view, area, slot * columns.width), area.height, kind, ink);
    [start, kind] = [slot, now];
  }
}

function hole(on: Surface, left: number, right: number, height: number, kind: string, ink: Ink): void {
  const { g } = on;
  const unproved = kind === "not proved";
  g.fillStyle = (unproved ? hatch(g, ink.warn, on.ratio) : null) ?? ink.ground;
  g.globalAlpha = unproved ? 0.4 : 1;
  g.fillRect(left, 0, right - left, height);
  g.globalAlpha = 1;
  if (right - left < 64) return;
  g.textAlign = "center";
  g.fillStyle = unproved ? ink.warn : ink.muted;
  g.fillText(kind, (left + right) / 2, 18);
}

/** Before the first column nothing is known: said, where there is room. */
function drawBeginning(on: Surface, { view, area, columns, ink, ended }: Scene): void {
  const x = xOf(view, area, columns.first * columns.width);
  if (!ended || !(x > 150)) return;
  const { g } = on;
  g.textAlign = "right";
  g.fillStyle = ink.muted;
  g.fillText(`nothing before ${clock(columns.first * columns.width)}`, Math.min(x, area.width) - 8, 18);
}

/** Two lines; where they would lie on one another, one for the mid. */
function drawTouch(on: Surface, scene: Scene, from: number, to: number): void {
  const { ink, view } = scene;
  const now = scene.live ?? scene.columns.at(scene.columns.last);
  const spread = now && now.bid !== null && now.ask !== null ? (now.ask - now.bid) / view.pricePerPx : 0;
  if (spread < LEAST_SPREAD_PX) line(on, touchPath(scene, midOf, from, to), ink.text, ink.ground);
  else {
    line(on, touchPath(scene, (c) => c.bid, from, to), ink.up, ink.ground);
    line(on, touchPath(scene, (c) => c.ask, from, to), ink.down, ink.ground);
  }
}

const midOf = ({ bid, ask }: Column): number | null => (bid === null || ask === null ? null : (bid + ask) / 2);

function line({ g }: Surface, path: Path2D, color: string, ground: string): void {
  g.lineJoin = "round";
  g.globalAlpha = 0.6;
  g.strokeStyle = ground;
  g.lineWidth = 3.5;
  g.stroke(path);
  g.globalAlpha = 1;
  g.strokeStyle = color;
  g.lineWidth = 1.3;
  g.stroke(path);
}

function touchPath(scene: Scene, priceOf: (column: Column) => number | null, from: number, to: number): Path2D {
  const { view, area, columns } = scene;
  const path = new Path2D();
  let broken = true;
  for (let slot = Math.max(from, columns.first); slot <= to; slot++) {
    const column = columnAt(scene, slot);
    const price = column ? priceOf(column) : null;
    if (price === null) {
      broken = true;
      continue;
    }
    const [x, y] = [xOf(view, area, slot * columns.width), yOf(view, area, price)];
    if (broken) path.moveTo(x, y);
    else path.lineTo(x, y);
    path.lineTo(Math.min(xOf(view, area, (slot + 1) * columns.width), Math.max(x, xOf(view, area, scene.now))), y);
    broken = false;
  }
  return path;
}

/** Large ones first, so that none hides a smaller one. */
function drawBubbles(on: Surface, { view, area, bubbles, largest, ink }: Scene): void {
  const { g } = on;
  const fills = { buy: ink.up, sell: ink.down, unknown: ink.muted };
  g.lineWidth = 0.75;
  g.strokeStyle = ink.ground;
  for (const b of [...bubbles].sort((one, other) => other.size - one.size)) {
    const radius = radiusOf(b.size, largest);
    g.beginPath();
    g.arc(xOf(view, area, b.at), yOf(view, area, b.price), radius, 0, 2 * Math.PI);
    g.fillStyle = fills[b.side];
    g.globalAlpha = radius < 2.5 ? 0.9 : 0.66;
    g.fill();
    if (radius < 2.5) continue;
    g.globalAlpha = 0.9;
    g.stroke();
  }
  g.globalAlpha = 1;
}

/** The newest column once more, as bars: how much rests at each price now. */
function drawBook(on: Surface, scene: Scene): void {
  const { g, width } = on;
  const { view, area, columns, ink } = scene;
  const column = scene.live ?? columns.at(columns.last);
  const left = area.width;
  g.fillStyle = ink.line;
  g.fillRect(left, 0, 1, area.height);
  if (!column?.proved) return;
  const [top, bottom] = [priceAt(view, area, 0), priceAt(view, area, area.height)].map((p) => Math.floor(p / columns.step)) as [number, number];
  let most = 0;
  for (let bin = bottom; bin <= top; bin++) most = Math.max(most, sizeAt(column, bin) ?? 0);
  const mid = ((column.bid ?? 0) + (column.ask ?? 0)) / 2;
  g.globalAlpha = 0.75;
  for (let bin = bottom; bin <= top; bin++) {
    const size = sizeAt(column, bin);
    if (!size) continue;
    const y = yOf(view, area, (bin + 1) * columns.step);
    const tall = columns.step / view.pricePerPx;
    g.fillStyle = (bin + 0.5) * columns.step < mid ? ink.up : ink.down;
    g.fillRect(left + 1, y, (size / most) * (width - AXIS - left - 5), Math.max(1, tall > 3 ? tall - 1 : tall));
  }
  g.globalAlpha = 1;
}

const SPANS = [0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400];

function drawAxes(on: Surface, scene: Scene): void {
  const { g, width, height } = on;
  const { view, area, ink, decimals } = scene;
  const right = width - AXIS;
  g.fillStyle = ink.line;
  g.fillRect(right, 0, 1, area.height);
  g.fillRect(0, area.height, width, 1);
  g.textBaseline = "middle";
  g.textAlign = "left";
  const mid = midNow(scene);
  for (const price of ticks(priceAt(view, area, area.height - 8), priceAt(view, area, 8), Math.max(2, area.height / 44))) {
    if (mid !== null && Math.abs(price - mid) < 14 * view.pricePerPx) continue;
    g.fillStyle = ink.muted;
    g.fillText(fixed(price, decimals), right + 7, yOf(view, area, price));
    g.fillRect(right, Math.round(yOf(view, area, price)), 4, 1);
  }
  g.textBaseline = "alphabetic";
  g.textAlign = "center";
  const span = (SPANS.find((s) => (s * 1e6) / view.perPx >= 78) ?? 86_400) * 1e6;
  for (let t = Math.ceil(timeAt(view, area, 0) / span) * span; t <= view.right; t += span) {
    const x = xOf(view, area, t);
    if (x < 26 || x > area.width - 20) continue;
    g.fillStyle = ink.muted;
    g.fillText(span < 60e6 ? clock(t, span < 1e6) : clock(t).slice(0, 5), x, height - 5);
    g.fillRect(Math.round(x), area.height, 1, 4);
  }
  drawMid(on, scene);
}

function midNow({ live, columns }: Scene): number | null {
  const column = live ?? columns.at(columns.last);
  return column ? midOf(column) : null;
}

function drawMid({ g, width }: Surface, scene: Scene): void {
  const { view, area, ink, decimals } = scene;
  const mid = midNow(scene);
  if (mid === null) return;
  const y = yOf(view, area, mid);
  if (y > 0 && y < area.height) tag(g, width - AXIS, y, AXIS, fixed(mid, decimals + 1), ink);
}

/** A price on the axis. */
export function tag(g: CanvasRenderingContext2D, x: number, y: number, width: number, text: string, ink: Ink): void {
  g.fillStyle = ink.label;
  g.fillRect(x + 1, y - 9, width - 1, 18);
  g.fillStyle = "#ffffff";
  g.textAlign = "left";
  g.textBaseline = "middle";
  g.fillText(text, x + 7, y);
  g.textBaseline = "alphabetic";
}

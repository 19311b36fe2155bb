// Draws the depth chart: distance from the mid sideways, all that stands up to there upwards.

import { fixed, size } from "../ui/format.ts";
import { hatch, type Surface, ticks } from "../ui/canvas.ts";
import type { Ink } from "../ui/ink.ts";
import type { Curve, Curves } from "./curve.ts";
import { isKnown, within } from "./curve.ts";
import { stepDecimals } from "./grouping.ts";

const FOOT = 18; // the prices under the curves
const TOP = 8;

export interface DepthLook {
  readonly range: number; // bps each way
  readonly hover: number | null; // bps, bids below 0
  readonly priceDecimals: number;
  readonly sizeDecimals: number;
  readonly ink: Ink;
}

/** Sideways place of a distance, and back: bids left of the middle. */
export const xOf = (bps: number, width: number, range: number): number => (width / 2) * (1 + bps / range);
export const bpsAt = (x: number, width: number, range: number): number => ((x / width) * 2 - 1) * range;

export function drawDepth(on: Surface, curves: Curves, look: DepthLook): void {
  const { g, width, height } = on;
  const { ink } = look;
  g.fillStyle = ink.panel;
  g.fillRect(0, 0, width, height);
  on.font(`10.5px ${ink.font}`);
  const { range } = look;
  const most = Math.max(within(curves.bid, range)?.size ?? 0, within(curves.ask, range)?.size ?? 0) || 1;
  const y = (total: number): number => height - FOOT - (total / (most * 1.06)) * (height - FOOT - TOP);
  grid(on, curves, look, most, y);
  drawSide(on, curves.bid, look, y, -1, ink.up);
  drawSide(on, curves.ask, look, y, 1, ink.down);
  g.fillStyle = ink.muted;
  g.globalAlpha = 0.7;
  g.fillRect(Math.round(width / 2), TOP, 1, height - FOOT - TOP);
  g.globalAlpha = 1;
  if (look.hover !== null) cross(on, curves, look, y);
}

function grid(on: Surface, curves: Curves, look: DepthLook, most: number, y: (total: number) => number): void {
  const { g, width, height } = on;
  const { ink } = look;
  const grid = ink.line;
  g.textBaseline = "middle";
  g.textAlign = "right";
  const heights = ticks(0, most, Math.max(2, height / 46));
  const decimals = Math.min(look.sizeDecimals, stepDecimals(heights[1] ?? most));
  for (const total of heights) {
    if (total === 0) continue;
    g.fillStyle = grid;
    g.fillRect(0, Math.round(y(total)), width, 1);
    g.fillStyle = ink.muted;
    g.fillText(size(total, decimals), width - 6, y(total) - 7);
  }
  g.textBaseline = "alphabetic";
  g.textAlign = "center";
  const marks = ticks(-look.range, look.range, Math.max(2, width / 110));
  for (const bps of marks) {
    const x = xOf(bps, width, look.range);
    if (x < 34 || x > width - 34) continue;
    g.fillStyle = grid;
    g.fillRect(Math.round(x), TOP, 1, height - FOOT - TOP);
    g.fillStyle = ink.muted;
    g.fillText(fixed(curves.mid * (1 + bps / 10_000), look.priceDecimals), x, height - 5);
  }
}

function drawSide(on: Surface, curve: Curve, look: DepthLook, y: (total: number) => number, sign: 1 | -1, color: string): void {
  const { g, width, height } = on;
  const x = (bps: number): number => xOf(sign * bps, width, look.range);
  const end = Math.min(look.range, curve.reach ?? look.range);
  g.beginPath();
  let top = y(0);
  g.moveTo(x(curve.points[0]?.bps ?? 0), top);
  for (const point of curve.points) {
    if (point.bps > end + 1e-9) break;
    g.lineTo(x(point.bps), top);
    top = y(point.size);
    g.lineTo(x(point.bps), top);
  }
  g.lineTo(x(end), top);
  g.strokeStyle = color;
  g.lineWidth = 1.75;
  g.lineJoin = "round";
  g.stroke();
  g.lineTo(x(end), y(0));
  const fill = g.createLinearGradient(0, TOP, 0, height - FOOT);
  fill.addColorStop(0, `${color}59`);
  fill.addColorStop(1, `${color}12`);
  g.fillStyle = fill;
  g.fill();
  if (end < look.range) unknown(on, x(end), x(look.range), look.ink);
}

function unknown(on: Surface, from: number, to: number, ink: Ink): void {
  const { g, height } = on;
  const [left, span] = [Math.min(from, to), Math.abs(to - from)];
  const lines = hatch(g, ink.line, on.ratio);
  if (lines) g.fillStyle = lines;
  g.fillRect(left, TOP, span, height - FOOT - TOP);
  if (span < 74) return;
  g.fillStyle = ink.muted;
  g.textAlign = "center";
  g.fillText("not known here", left + span / 2, TOP + 14);
}

function cross(on: Surface, curves: Curves, look: DepthLook, y: (total: number) => number): void {
  const { g, width, height } = on;
  const { hover, range, ink } = look;
  if (hover === null) return;
  for (const bps of [hover, -hover]) {
    const curve = bps < 0 ? curves.bid : curves.ask;
    const x = xOf(bps, width, range);
    g.setLineDash(bps === hover ? [] : [3, 3]);
    g.strokeStyle = ink.muted;
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(Math.round(x) + 0.5, TOP);
    g.lineTo(Math.round(x) + 0.5, height - FOOT);
    g.stroke();
    g.setLineDash([]);
    const point = within(curve, Math.abs(bps));
    if (!point || !isKnown(curve, Math.abs(bps))) continue;
    g.fillStyle = bps < 0 ? ink.up : ink.down;
    g.strokeStyle = ink.panel;
    g.lineWidth = 2;
    g.beginPath();
    g.arc(x, y(point.size), 4, 0, 2 * Math.PI);
    g.fill();
    g.stroke();
  }
}

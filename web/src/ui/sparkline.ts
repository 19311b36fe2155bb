// A line of the last minutes, drawn on its own small canvas.

import { type Sheet, sheet } from "./sheet.ts";
import { token } from "./theme.ts";

function pen(canvas: HTMLCanvasElement): Sheet | null {
  const on = sheet(canvas);
  if (!on) return null;
  on.g.lineWidth = 1.25;
  on.g.lineJoin = "round";
  return on;
}

export function sparkline(canvas: HTMLCanvasElement, points: readonly number[], reference: number | null): void {
  const on = pen(canvas);
  if (!on || points.length < 2) return;
  const { g, width, height } = on;
  const low = Math.min(...points);
  const high = Math.max(...points);
  const span = high - low || 1;
  const x = (i: number): number => 1 + (i / (points.length - 1)) * (width - 2);
  const y = (p: number): number => height - 2 - ((p - low) / span) * (height - 4);
  const last = points.at(-1) ?? 0;
  const color = token(last >= (reference ?? points[0] ?? 0) ? "up" : "down");
  g.beginPath();
  points.forEach((p, i) => (i === 0 ? g.moveTo(x(i), y(p)) : g.lineTo(x(i), y(p))));
  g.strokeStyle = color;
  g.stroke();
  g.lineTo(x(points.length - 1), height);
  g.lineTo(x(0), height);
  g.globalAlpha = 0.12;
  g.fillStyle = color;
  g.fill();
  g.globalAlpha = 1;
}

/** A metric's way: nothing is drawn where it was not known; another colour where it was incomplete. Up is not good and down not bad.
 * The line fills the canvas from its `least`-th point on. */
export function trend(canvas: HTMLCanvasElement, values: readonly (number | null)[], partial: readonly boolean[], least: number): void {
  const on = pen(canvas);
  const known = values.filter((v) => v !== null);
  if (!on || known.length < 2) return;
  const { g, width, height } = on;
  const low = Math.min(...known);
  const span = Math.max(...known) - low;
  const most = Math.max(least, values.length);
  const first = most - values.length;
  const x = (i: number): number => 1 + ((first + i) / (most - 1)) * (width - 2);
  const y = (v: number): number => (span === 0 ? height / 2 : height - 2 - ((v - low) / span) * (height - 4));
  for (const pale of [false, true]) {
    g.beginPath();
    for (let i = 1; i < values.length; i++) {
      const from = values[i - 1];
      const to = values[i];
      if (from == null || to == null || (partial[i] ?? false) !== pale) continue;
      g.moveTo(x(i - 1), y(from));
      g.lineTo(x(i), y(to));
    }
    g.strokeStyle = token(pale ? "warn" : "accent");
    g.globalAlpha = pale ? 0.6 : 0.95;
    g.stroke();
  }
  g.globalAlpha = 1;
}

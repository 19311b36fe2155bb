// A line of the last minutes, drawn on its own small canvas.

import { token } from "./theme.ts";

export function sparkline(canvas: HTMLCanvasElement, points: readonly number[], reference: number | null): void {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (width === 0 || height === 0) return;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const g = canvas.getContext("2d");
  if (!g) return;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  if (points.length < 2) return;
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
  g.lineWidth = 1.25;
  g.lineJoin = "round";
  g.stroke();
  g.lineTo(x(points.length - 1), height);
  g.lineTo(x(0), height);
  g.globalAlpha = 0.12;
  g.fillStyle = color;
  g.fill();
  g.globalAlpha = 1;
}

// The picture of a recording's timeline: turnover as bars over the number of messages as a skyline, gaps as marks that stand out by
// shape and not by colour alone, what was played lit, the head a line.

import type { Timeline } from "../api/replay.ts";
import { placeOf } from "../state/replay.ts";
import { token } from "../ui/theme.ts";

export interface Scene {
  readonly line: Timeline | null;
  readonly from: number;
  readonly to: number;
  readonly now: number;
  readonly hover: number | null;
}

const GAP = 7;

export function drawTimeline(canvas: HTMLCanvasElement, scene: Scene): void {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio || 1;
  if (width === 0) return;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const g = canvas.getContext("2d");
  if (!g) return;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  const x = (ts: number): number => placeOf(ts, scene.from, scene.to) * width;
  const head = x(scene.now);
  const tone = token("replay");
  g.fillStyle = token("label");
  g.globalAlpha = 0.5;
  g.fillRect(0, height - 1, width, 1);
  if (scene.line) {
    const { line } = scene;
    const known = line.volume.some((v) => v !== null);
    skyline(g, line.frames, line, x, height, head, known ? 0.3 : 0.75, [tone, token("muted")]);
    if (known) skyline(g, line.volume.map((v) => v ?? 0), line, x, height * 0.8, head, 0.95, [tone, token("muted")], height);
    gaps(g, line, x, height);
  }
  g.globalAlpha = 0.1;
  g.fillStyle = tone;
  g.fillRect(0, 0, head, height);
  g.globalAlpha = 1;
  if (scene.hover !== null) {
    g.fillStyle = token("muted");
    g.fillRect(Math.round(x(scene.hover)), 0, 1, height);
  }
  g.fillStyle = token("text");
  g.fillRect(Math.round(head) - 1, 0, 2, height);
  g.beginPath();
  g.arc(Math.min(width - 4, Math.max(4, head)), 4, 4, 0, 7);
  g.fill();
}

/** Bars over time, those before the head in the first colour. Heights by the square root: a quiet hour is seen beside a wild one. */
function skyline(
  g: CanvasRenderingContext2D, values: readonly number[], line: Timeline, x: (ts: number) => number, height: number, head: number, alpha: number,
  colours: readonly [string, string], ground = height,
): void {
  const most = Math.sqrt(Math.max(1e-12, ...values));
  for (let i = 0; i < values.length; i++) {
    const tall = (Math.sqrt(values[i] ?? 0) / most) * (height - 3);
    if (tall <= 0) continue;
    const left = x(line.from + i * line.bucket);
    const right = x(line.from + (i + 1) * line.bucket);
    g.globalAlpha = alpha * (left < head ? 1 : 0.6);
    g.fillStyle = left < head ? colours[0] : colours[1];
    g.fillRect(left, ground - Math.max(1, tall), Math.max(0.6, right - left - (right - left > 3 ? 1 : 0)), Math.max(1, tall));
  }
}

/** A notch at the top and a dashed line down: marks of one place are drawn once. */
function gaps(g: CanvasRenderingContext2D, line: Timeline, x: (ts: number) => number, height: number): void {
  g.globalAlpha = 1;
  g.fillStyle = g.strokeStyle = token("warn");
  g.setLineDash([2, 3]);
  const drawn = new Set<number>();
  for (const gap of line.gaps) {
    const at = Math.round(x(gap.ts));
    if (drawn.has(at)) continue;
    drawn.add(at);
    g.beginPath();
    g.moveTo(at - GAP / 2, 0);
    g.lineTo(at + GAP / 2, 0);
    g.lineTo(at, GAP);
    g.fill();
    g.beginPath();
    g.moveTo(at + 0.5, GAP);
    g.lineTo(at + 0.5, height);
    g.stroke();
  }
  g.setLineDash([]);
}

// A canvas at the screen's own resolution that follows the size of its box. It is told its size and never asks for it: asking in the middle
// of a paint would lay out the whole page. Drawn again in the same task that resized it, so that it never shows an empty frame.

import { h } from "./dom.ts";

const MOST_RATIO = 3;

export class Surface {
  readonly el: HTMLCanvasElement;
  readonly g: CanvasRenderingContext2D;
  width = 0; // in CSS pixels
  height = 0;
  ratio = 1;
  private face = "";

  /** `resized`: is called with each new size, before the screen shows it. */
  constructor(className: string, resized: () => void, opaque = false) {
    this.el = h("canvas", { class: className, "aria-hidden": "true" });
    const g = this.el.getContext("2d", { alpha: !opaque });
    if (!g) throw new Error("this browser has no canvas");
    this.g = g;
    new ResizeObserver(([entry]) => {
      this.width = entry?.contentRect.width ?? 0;
      this.height = entry?.contentRect.height ?? 0;
      resized();
    }).observe(this.el);
  }

  /** False where there is nothing to draw on. Sets the scale back to CSS pixels. */
  ready(): boolean {
    if (this.width === 0 || this.height === 0) return false;
    this.ratio = Math.min(MOST_RATIO, window.devicePixelRatio || 1);
    const [w, t] = [Math.round(this.width * this.ratio), Math.round(this.height * this.ratio)];
    if (this.el.width !== w || this.el.height !== t) {
      this.el.width = w;
      this.el.height = t;
      this.face = ""; // a new size takes everything that was set away
      this.g.direction = "ltr"; // left to the page it would look up styles with each text
    }
    this.g.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    return true;
  }

  /** Setting a font makes the browser look up styles: only where it is another one. */
  font(face: string): void {
    if (face === this.face) return;
    this.face = face;
    this.g.font = face;
  }
}

const patterns = new Map<string, CanvasPattern | null>(); // a few: one a colour and resolution
const MOST_PATTERNS = 24;

/** Slanted lines for what is not known, in screen space, so that they look alike at every zoom. */
export function hatch(g: CanvasRenderingContext2D, color: string, ratio: number): CanvasPattern | null {
  const key = `${color} ${ratio}`;
  let pattern = patterns.get(key);
  if (pattern !== undefined) return pattern;
  if (patterns.size >= MOST_PATTERNS) patterns.clear();
  pattern = hatched(g, color, ratio, 7);
  patterns.set(key, pattern);
  return pattern;
}

function hatched(g: CanvasRenderingContext2D, color: string, ratio: number, gap: number): CanvasPattern | null {
  const side = Math.max(4, Math.round(gap * ratio));
  const tile = new OffscreenCanvas(side, side);
  const t = tile.getContext("2d");
  if (!t) return null;
  t.strokeStyle = color;
  t.lineWidth = ratio;
  for (const shift of [-side, 0, side]) {
    t.beginPath();
    t.moveTo(shift - 1, side + 1);
    t.lineTo(shift + side + 1, -1);
    t.stroke();
  }
  const pattern = g.createPattern(tile, "repeat");
  pattern?.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern;
}

/** Round values for an axis: at most `most` of them, 1, 2 or 5 times a power of ten apart. */
export function ticks(low: number, high: number, most: number): number[] {
  const span = high - low;
  if (!(span > 0) || most < 1) return [];
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? rough;
  const found: number[] = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
  return found;
}

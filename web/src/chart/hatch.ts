// Draws the stretches in which something is missing as hatched bands behind the bars, and silences that the axis leaves out as a dashed
// line. Words for them stand in the legend (chart/legend.ts).

import type { Logical } from "lightweight-charts";
import { Behind, type Target } from "./behind.ts";
import type { Band } from "./spans.ts";

const STRIPE = 6;

export class Hatch extends Behind {
  private bands: readonly Band[] = [];
  private steps: readonly { readonly at: number }[] = [];
  private color = "";
  private faint = "";

  show(bands: readonly Band[], steps: readonly { readonly at: number }[], color: string, faint: string): void {
    Object.assign(this, { bands, steps, color, faint });
    this.on?.requestUpdate();
  }

  override draw(target: Target): void {
    const scale = this.on?.chart.timeScale();
    if (!scale || (this.bands.length === 0 && this.steps.length === 0)) return;
    const half = scale.options().barSpacing / 2;
    const x = (at: number): number | null => scale.logicalToCoordinate(at as Logical);
    target.useMediaCoordinateSpace(({ context: g, mediaSize: { width, height } }) => {
      for (const band of this.bands) {
        const [left, right] = [x(band.from), x(band.to)];
        if (left === null || right === null || right + half < 0 || left - half > width) continue;
        stripes(g, left - half, Math.max(right + half, left - half + 3), height, this.color);
      }
      g.setLineDash([2, 4]);
      g.strokeStyle = this.faint;
      g.globalAlpha = 0.7;
      for (const { at } of this.steps) {
        const right = x(at);
        if (right === null || right < 0 || right > width) continue;
        g.beginPath();
        g.moveTo(Math.round(right - half) + 0.5, 0);
        g.lineTo(Math.round(right - half) + 0.5, height);
        g.stroke();
      }
      g.setLineDash([]);
      g.globalAlpha = 1;
    });
  }
}

function stripes(g: CanvasRenderingContext2D, left: number, right: number, height: number, color: string): void {
  g.save();
  g.beginPath();
  g.rect(left, 0, right - left, height);
  g.clip();
  g.globalAlpha = 0.08;
  g.fillStyle = color;
  g.fillRect(left, 0, right - left, height);
  g.globalAlpha = 0.28;
  g.strokeStyle = color;
  g.lineWidth = 1;
  g.beginPath();
  const from = Math.floor((left - height) / STRIPE) * STRIPE; // fixed to the pane, so that neighbours join
  for (let at = from; at < right; at += STRIPE) {
    g.moveTo(at, height);
    g.lineTo(at + height, 0);
  }
  g.stroke();
  g.restore();
}

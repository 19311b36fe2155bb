// Volume by price, drawn behind the candles from the right edge, each bin at its own prices: a stronger tone in the value area, a dashed
// line at the point of control.

import type { Profile, ProfileAnswer } from "../api/types.ts";
import { clock, fixed } from "../ui/format.ts";
import { Behind, type Target } from "./behind.ts";

const SHARE = 0.26; // of the chart's width, for the fullest bin

export interface ProfileColors {
  readonly area: string;
  readonly rest: string;
  readonly poc: string;
}

export class ProfileDrawing extends Behind {
  private profile: Profile | null = null;
  private colors: ProfileColors = { area: "", rest: "", poc: "" };

  show(answer: ProfileAnswer | null, colors: ProfileColors): void {
    const profile = answer?.profile ?? null;
    if (profile === this.profile && colors.area === this.colors.area) return;
    this.profile = profile;
    this.colors = colors;
    this.on?.requestUpdate();
  }

  override draw(target: Target): void {
    const { profile, on } = this;
    if (!profile?.step || !on) return;
    const { step, val, vah, poc } = profile;
    const y = (price: number): number | null => on.series.priceToCoordinate(price);
    const most = Math.max(...profile.bins.map((b) => b.volume)) || 1;
    target.useMediaCoordinateSpace(({ context: g, mediaSize: { width, height } }) => {
      for (const bin of profile.bins) {
        const [bottom, top] = [y(bin.low), y(bin.low + step)];
        if (bottom === null || top === null || bottom < 0 || top > height) continue;
        const inside = val !== null && vah !== null && bin.high >= val && bin.low <= vah;
        const length = (bin.volume / most) * width * SHARE;
        g.globalAlpha = inside ? 0.3 : 0.18;
        g.fillStyle = inside ? this.colors.area : this.colors.rest;
        g.fillRect(width - length, top, length, Math.max(1, bottom - top - (bottom - top > 3 ? 1 : 0)));
      }
      const at = poc === null ? null : y(poc);
      if (at === null) return;
      g.globalAlpha = 0.85;
      g.strokeStyle = this.colors.poc;
      g.setLineDash([4, 4]);
      g.beginPath();
      g.moveTo(width * (1 - SHARE), at);
      g.lineTo(width, at);
      g.stroke();
      g.setLineDash([]);
      g.globalAlpha = 1;
    });
  }
}

/** What the drawing shows, in words: the numbers and what they are of. */
export function profileWords({ profile, metric, first, incomplete }: ProfileAnswer, decimals: number): string {
  if (profile.poc === null) return "Profile: nothing was traded";
  const p = (price: number | null): string => fixed(price, decimals);
  const of = metric ?? `trades since ${clock(first)}`;
  const parts = [`POC ${p(profile.poc)}`, `value area ${p(profile.val)} to ${p(profile.vah)}`, `(${of})`, incomplete ? "incomplete" : ""];
  return parts.filter(Boolean).map((part) => part.replaceAll(" ", "\u00a0")).join("  ");
}

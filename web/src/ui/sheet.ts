// A canvas at the screen's own resolution, cleared, with the colours of the theme at hand.

import { SHEET_KEYS } from "../state/panelkeys.ts";
import { act } from "./keyboard.ts";
import { token } from "./theme.ts";

export interface Sheet {
  readonly g: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
}

/** null where it is not shown. */
export function sheet(canvas: HTMLCanvasElement): Sheet | null {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width === 0 || height === 0) return null;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const g = canvas.getContext("2d");
  if (!g) return null;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  return { g, width, height };
}

export type Colors = Readonly<Record<"up" | "down" | "text" | "muted" | "grid" | "line" | "accent" | "warn" | "panel", string>>;

export function colors(): Colors {
  return {
    up: token("up"), down: token("down"), text: token("text"), muted: token("muted"), grid: token("grid"), line: token("line"),
    accent: token("accent"), warn: token("warn"), panel: token("panel"),
  };
}

export const FONT = "11px Inter, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', Arial, sans-serif";
export const SMALL = FONT.replace("11px", "10px");

/** Wheel zooms, with Shift it moves; dragging moves; keys as in state/panelkeys.ts. */
export function navigate(el: HTMLElement, deeds: { readonly zoom: (factor: number) => void; readonly pan: (pixels: number) => void; readonly latest: () => void }): void {
  let from: number | null = null;
  el.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) deeds.pan(-(event.deltaX || event.deltaY));
    else deeds.zoom(event.deltaY < 0 ? 1.12 : 1 / 1.12);
  }, { passive: false });
  el.addEventListener("pointerdown", (event) => {
    from = event.clientX;
    el.setPointerCapture(event.pointerId);
  });
  el.addEventListener("pointermove", (event) => {
    if (from === null) return;
    deeds.pan(event.clientX - from);
    from = event.clientX;
  });
  for (const name of ["pointerup", "pointercancel"]) el.addEventListener(name, () => (from = null));
  el.addEventListener("keydown", (event) => act(event, SHEET_KEYS, {
    earlier: () => deeds.pan(60), later: () => deeds.pan(-60), closer: () => deeds.zoom(1.25), wider: () => deeds.zoom(0.8), newest: () => deeds.latest(),
  }));
}

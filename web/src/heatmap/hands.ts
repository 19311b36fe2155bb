// Mouse, touch and keys of the heatmap, as moves of its view.

import { HEATMAP_KEYS } from "../state/panelkeys.ts";
import { act } from "../ui/keyboard.ts";

export interface Moves {
  readonly pan: (dx: number, dy: number) => void;
  readonly zoomTime: (factor: number, x: number | null) => void; // null: about the right edge
  readonly zoomPrice: (factor: number, y: number | null) => void;
  readonly point: (at: { x: number; y: number } | null) => void;
  readonly contrast: (by: number) => void;
  readonly step: (by: number) => void;
  readonly follow: () => void;
  readonly onAxis: (x: number) => boolean;
}

const ZOOM = 1.18;
const PAN = 60;

export function hands(el: HTMLElement, moves: Moves): void {
  drags(el, moves);
  el.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) && !event.shiftKey) {
      moves.pan(-event.deltaX, 0);
      return;
    }
    const delta = event.deltaY || event.deltaX;
    const factor = ZOOM ** (-Math.sign(delta) * Math.min(2, Math.max(0.35, Math.abs(delta) / 100)));
    if (event.shiftKey || event.ctrlKey || moves.onAxis(event.offsetX)) moves.zoomPrice(factor, event.offsetY);
    else moves.zoomTime(factor, event.offsetX);
  }, { passive: false });
  el.addEventListener("keydown", (event) => keyed(event, moves));
}

function drags(el: HTMLElement, moves: Moves): void {
  const held = new Map<number, { x: number; y: number }>();
  el.addEventListener("pointerdown", (event) => {
    held.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    el.setPointerCapture(event.pointerId);
  });
  el.addEventListener("pointermove", (event) => {
    const now = { x: event.offsetX, y: event.offsetY };
    const before = held.get(event.pointerId);
    if (!before) moves.point(now);
    else if (held.size === 2) pinch(held, event.pointerId, now, moves);
    else if (moves.onAxis(before.x)) moves.zoomPrice(1.01 ** (now.y - before.y), null);
    else moves.pan(now.x - before.x, now.y - before.y);
    if (before) held.set(event.pointerId, now);
  });
  for (const type of ["pointerup", "pointercancel"] as const) el.addEventListener(type, (event) => held.delete(event.pointerId));
  el.addEventListener("pointerleave", () => moves.point(null));
  el.addEventListener("dblclick", () => moves.follow());
}

/** Two fingers: apart sideways zooms time, apart upwards zooms price. */
function pinch(held: ReadonlyMap<number, { x: number; y: number }>, id: number, now: { x: number; y: number }, moves: Moves): void {
  const other = [...held].find(([key]) => key !== id)?.[1];
  const before = held.get(id);
  if (!other || !before) return;
  const was = { x: Math.abs(before.x - other.x), y: Math.abs(before.y - other.y) };
  const is = { x: Math.abs(now.x - other.x), y: Math.abs(now.y - other.y) };
  if (was.x > 30) moves.zoomTime(is.x / was.x, (now.x + other.x) / 2);
  if (was.y > 30) moves.zoomPrice(is.y / was.y, (now.y + other.y) / 2);
}

function keyed(event: KeyboardEvent, moves: Moves): void {
  act(event, HEATMAP_KEYS, {
    earlier: () => moves.pan(PAN, 0),
    later: () => moves.pan(-PAN, 0),
    higher: () => moves.pan(0, PAN / 2),
    lower: () => moves.pan(0, -PAN / 2),
    closer: () => moves.zoomTime(ZOOM, null),
    wider: () => moves.zoomTime(1 / ZOOM, null),
    taller: () => moves.zoomPrice(ZOOM, null),
    flatter: () => moves.zoomPrice(1 / ZOOM, null),
    weaker: () => moves.contrast(-5),
    stronger: () => moves.contrast(5),
    finer: () => moves.step(-1),
    coarser: () => moves.step(1),
    follow: () => moves.follow(),
  });
}

// Moving a panel by its tab: after a few pixels the tab follows the pointer and the place where it would go is shown. Escape leaves
// everything as it was.

import type { Drop } from "../state/placing.ts";
import { h, show } from "../ui/dom.ts";

const BEGINS = 5;

export interface Dragging {
  readonly title: string;
  readonly dropAt: (x: number, y: number) => Drop | null; // of a point in the window
  readonly words: (drop: Drop) => string;
  readonly drop: (drop: Drop, x: number) => void;
}

export function dragTab(tab: HTMLElement, down: PointerEvent, zone: HTMLElement, dragging: Dragging): void {
  const ghost = h("div", { class: "ghost", "aria-hidden": "true" }, dragging.title);
  let drop: Drop | null = null;
  let begun = false;
  const move = (event: PointerEvent): void => {
    if (!begun && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < BEGINS) return;
    if (!begun) {
      begun = true;
      tab.setPointerCapture(down.pointerId);
      document.body.append(ghost);
      document.body.classList.add("dragging");
    }
    ghost.style.transform = `translate(${event.clientX + 10}px, ${event.clientY + 12}px)`;
    drop = dragging.dropAt(event.clientX, event.clientY);
    paint(zone, drop, drop ? dragging.words(drop) : "");
  };
  const end = (event: PointerEvent | null): void => {
    window.removeEventListener("pointermove", move);
    window.removeEventListener("pointerup", up);
    window.removeEventListener("pointercancel", cancel);
    window.removeEventListener("keydown", escape, true);
    ghost.remove();
    document.body.classList.remove("dragging");
    paint(zone, null, "");
    if (begun && event && drop) dragging.drop(drop, event.clientX);
  };
  const up = (event: PointerEvent): void => end(event);
  const cancel = (): void => end(null);
  const escape = (event: KeyboardEvent): void => {
    if (event.key !== "Escape" || !begun) return;
    event.stopPropagation();
    end(null);
  };
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", up);
  window.addEventListener("pointercancel", cancel);
  window.addEventListener("keydown", escape, true);
}

function paint(zone: HTMLElement, drop: Drop | null, words: string): void {
  show(zone, drop !== null);
  if (!drop) return;
  const { x, y, width, height } = drop.rect;
  for (const [name, to] of [["left", x], ["top", y], ["width", width], ["height", height]] as const) zone.style[name] = `${to}px`;
  if (zone.textContent !== words) zone.textContent = words;
}

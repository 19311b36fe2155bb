// A border between panels that can be dragged, or moved by the arrow keys: a separator with a value, as the ARIA pattern has it.

import type { Seam } from "../state/placing.ts";
import { h, mark } from "../ui/dom.ts";

const STEP = 16;
const FAR = 1e5;

export class SeamBar {
  readonly el = h("div", { class: "seam", role: "separator", tabindex: "0" });
  private seam: Seam | null = null;
  private readonly resize: (seam: Seam, by: number, from: readonly number[]) => void;

  constructor(resize: (seam: Seam, by: number, from: readonly number[]) => void, reset: (seam: Seam) => void) {
    this.resize = resize;
    this.el.addEventListener("pointerdown", (event) => this.drag(event));
    this.el.addEventListener("keydown", (event) => this.key(event));
    this.el.addEventListener("dblclick", () => this.seam && reset(this.seam));
  }

  show(seam: Seam, titles: (panel: string) => string): void {
    this.seam = seam;
    const { x, y, width, height } = seam.rect;
    const { style } = this.el;
    for (const [name, to] of [["left", x], ["top", y], ["width", width], ["height", height]] as const) style[name] = `${to}px`;
    mark(this.el, "kind", seam.kind);
    const [a = 0, b = 0] = seam.sizes.slice(seam.at, seam.at + 2);
    const percent = (n: number): string => String(Math.round((100 * n) / (a + b || 1)));
    const said = {
      "aria-orientation": seam.kind === "row" ? "vertical" : "horizontal",
      "aria-valuenow": percent(a), "aria-valuemin": percent(seam.mins[seam.at] ?? 0), "aria-valuemax": percent(a + b - (seam.mins[seam.at + 1] ?? 0)),
      "aria-label": `Border between ${titles(seam.before)} and ${titles(seam.after)}`,
    };
    for (const [name, to] of Object.entries(said)) if (this.el.getAttribute(name) !== to) this.el.setAttribute(name, to);
  }

  private drag(event: PointerEvent): void {
    const { seam } = this;
    if (!seam || event.button !== 0) return;
    event.preventDefault();
    this.el.focus();
    this.el.setPointerCapture(event.pointerId);
    const at = (e: PointerEvent): number => (seam.kind === "row" ? e.clientX : e.clientY);
    const from = at(event);
    const move = (e: PointerEvent): void => this.resize(seam, at(e) - from, seam.sizes);
    const end = (): void => {
      this.el.removeEventListener("pointermove", move);
      mark(this.el, "held", "false");
    };
    mark(this.el, "held", "true");
    this.el.addEventListener("pointermove", move);
    this.el.addEventListener("lostpointercapture", end, { once: true });
  }

  private key(event: KeyboardEvent): void {
    const { seam } = this;
    if (!seam) return;
    const [less, more] = seam.kind === "row" ? ["ArrowLeft", "ArrowRight"] : ["ArrowUp", "ArrowDown"];
    const step = event.shiftKey ? 4 * STEP : STEP;
    const by = { [less ?? ""]: -step, [more ?? ""]: step, Home: -FAR, End: FAR }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.resize(seam, by, seam.sizes);
  }
}

// A line at the foot that says what was done, with what can be done about it; one at a time. It goes by itself unless it asks something.

import { h } from "./dom.ts";

const STAY_MS = 5000;
let shown: HTMLElement | null = null;

export function notice(text: string, acts: readonly (readonly [string, () => void])[] = []): void {
  shown?.remove();
  const el = h("div", { class: "notice", role: "status", "data-testid": "notice" }, h("span", {}, text));
  const close = (): void => el.remove();
  for (const [label, run] of acts) {
    const button = h("button", { type: "button", class: "small" }, label);
    button.addEventListener("click", () => {
      close();
      run();
    });
    el.append(button);
  }
  const dismiss = h("button", { type: "button", class: "icon", "aria-label": "Dismiss" }, "✕");
  dismiss.addEventListener("click", close);
  el.append(dismiss);
  document.body.append(el);
  shown = el;
  if (acts.length === 0) window.setTimeout(close, STAY_MS);
}

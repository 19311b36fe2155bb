// Tabs: on a narrow screen one panel is shown at a time, chosen here. Wide, the bar is hidden by the style and all are shown.

import { h } from "./dom.ts";

export interface Tab {
  readonly id: string;
  readonly label: string;
}

export interface Tabs {
  readonly el: HTMLElement;
  readonly pick: (id: string) => void;
}

export function tabs(name: string, list: readonly Tab[], chosen: string, choose: (id: string) => void): Tabs {
  const bar = h("div", { class: `tabs tabs-${name}`, role: "tablist", "aria-label": name });
  const buttons = list.map(({ id, label }) => {
    const button = h("button", { type: "button", role: "tab", "aria-controls": `panel-${id}`, "data-tab": id }, label);
    button.addEventListener("click", () => pick(id));
    return button;
  });
  const pick = (id: string, focus = false): void => {
    for (const button of buttons) {
      const selected = button.dataset["tab"] === id;
      button.setAttribute("aria-selected", String(selected));
      button.tabIndex = selected ? 0 : -1;
      if (selected && focus) button.focus();
    }
    choose(id);
  };
  bar.addEventListener("keydown", (event) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    const at = buttons.findIndex((b) => b.getAttribute("aria-selected") === "true");
    const next = list[(at + by + list.length) % list.length];
    if (next) pick(next.id, true);
  });
  bar.append(...buttons);
  pick(chosen);
  return { el: bar, pick };
}

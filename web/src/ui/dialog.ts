// A dialog of the page: its title, a button that closes it, Escape and a click beside it as well.

import { h } from "./dom.ts";

export function dialog(id: string, title: string, ...children: (Node | null)[]): HTMLDialogElement {
  const close = h("button", { type: "button", class: "icon", "aria-label": "Close" }, "✕");
  const el = h(
    "dialog", { class: `dialog ${id}`, "aria-labelledby": `${id}-title` },
    h("header", {}, h("h2", { id: `${id}-title` }, title), close), ...children,
  );
  close.addEventListener("click", () => el.close());
  el.addEventListener("click", (e) => e.target === el && el.close());
  return el;
}

export function toggleDialog(el: HTMLDialogElement): void {
  if (el.open) el.close();
  else el.showModal();
}

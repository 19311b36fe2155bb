// A menu beside a button: arrow keys, first letters, Home and End; Escape and a click elsewhere close it, and the focus goes back.
// It stands in the browser's top layer, so that nothing covers it and no panel cuts it off.

import { h } from "./dom.ts";

export interface Choice {
  readonly label: string;
  readonly hint?: string;
  readonly checked?: boolean;
  readonly disabled?: boolean;
  readonly testid?: string;
  readonly run: () => void;
}

export type Entry = Choice | { readonly heading: string };

const MARGIN = 6;

export function openMenu(anchor: HTMLElement, label: string, entries: readonly Entry[]): void {
  const menu = h("div", { class: "menu", role: "menu", "aria-label": label, popover: "auto" });
  menu.append(...entries.map((entry) => ("heading" in entry ? h("div", { class: "menu-heading", role: "presentation" }, entry.heading) : item(entry, menu))));
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    if (menu.contains(document.activeElement) || document.activeElement === document.body) anchor.focus();
    menu.remove();
  });
  menu.addEventListener("keydown", (event) => walk(event, menu));
  document.body.append(menu);
  menu.showPopover();
  at(menu, anchor.getBoundingClientRect());
  anchor.setAttribute("aria-expanded", "true");
  items(menu)[0]?.focus();
}

function item(choice: Choice, menu: HTMLElement): HTMLElement {
  const role = choice.checked === undefined ? "menuitem" : "menuitemcheckbox";
  const el = h(
    "button", { type: "button", role, tabindex: "-1", disabled: choice.disabled ?? false, "data-testid": choice.testid ?? null },
    h("span", {}, choice.label), choice.hint ? h("kbd", {}, choice.hint) : null,
  );
  if (choice.checked !== undefined) el.setAttribute("aria-checked", String(choice.checked));
  el.addEventListener("click", () => {
    menu.hidePopover();
    choice.run();
  });
  return el;
}

const items = (menu: HTMLElement): HTMLButtonElement[] => [...menu.querySelectorAll<HTMLButtonElement>("button:not(:disabled)")];

function walk(event: KeyboardEvent, menu: HTMLElement): void {
  const all = items(menu);
  const at = all.findIndex((b) => b === document.activeElement);
  const steps: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
  const typed = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey ? event.key.toLowerCase() : "";
  const to = steps[event.key] ?? (typed && typed !== " " ? lettered(all, at, typed) : undefined);
  if (event.key === "Tab") menu.hidePopover();
  if (to === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  all[(to + all.length) % all.length]?.focus();
}

function lettered(all: readonly HTMLElement[], at: number, letter: string): number | undefined {
  const order = all.map((_, i) => (at + 1 + i) % all.length);
  return order.find((i) => all[i]?.textContent?.toLowerCase().startsWith(letter));
}

/** Under the anchor, else above it; inside the window. */
function at(menu: HTMLElement, anchor: DOMRect): void {
  const { offsetWidth: width, offsetHeight: height } = menu;
  const left = Math.max(MARGIN, Math.min(anchor.right - width, innerWidth - width - MARGIN));
  const under = anchor.bottom + 4;
  const top = under + height <= innerHeight - MARGIN ? under : Math.max(MARGIN, anchor.top - height - 4);
  menu.style.left = `${Math.max(MARGIN, anchor.left + width < innerWidth && anchor.left < innerWidth / 2 ? anchor.left : left)}px`;
  menu.style.top = `${top}px`;
}

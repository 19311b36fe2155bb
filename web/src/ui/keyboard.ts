// Keys work wherever the focus is, except while typing, with a modifier held, or in a menu or dialog that is open.

import { actionOf } from "../state/keys.ts";
import { panelAction, type PanelKey } from "../state/panelkeys.ts";

/** By the action's name; `at` is which of its keys it was, `back` whether Shift was held. */
export type Actions = Readonly<Record<string, (at: number, back: boolean) => void>>;

const TYPING = "input:not([type=checkbox], [type=radio]), textarea, select";
const PRESSED = "button, a[href], summary, label, [role=button], [role=tab], [role=option], [role=menuitem]"; // by the space bar
const OPEN = "dialog[open], [popover]";

/** `replay`: whether a recording is played now. */
export function listen(actions: Actions, replay: () => boolean): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      actions["search"]?.(0, false);
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || target.closest(TYPING)) return;
    if (event.key === " " && target.closest(PRESSED)) return;
    const found = actionOf(event.key, replay());
    const run = found && actions[found.action];
    if (!run || (target.closest(OPEN) && found.action !== "help") || (document.querySelector("dialog[open]") && found.action !== "help")) return;
    event.preventDefault();
    run(found.at, event.shiftKey);
  });
}

/** A key that means something to one panel alone: nobody else hears of it. */
export function act<A extends string>(event: KeyboardEvent, keys: readonly PanelKey<A>[], deeds: Readonly<Record<A, () => void>>): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const action = panelAction(keys, event);
  if (action === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  deeds[action]();
}

// Keys work wherever the focus is, except while typing, with a modifier held, or in a menu or dialog that is open.

import { actionOf } from "../state/keys.ts";

/** By the action's name; `at` is which of its keys it was, `back` whether Shift was held. */
export type Actions = Readonly<Record<string, (at: number, back: boolean) => void>>;

const TYPING = "input:not([type=checkbox], [type=radio]), textarea, select";
const PRESSED = "button, a[href], summary, label, [role=button], [role=tab], [role=option], [role=menuitem]"; // by the space bar
const OPEN = "dialog[open], [popover]";

export function listen(actions: Actions): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      actions["search"]?.(0, false);
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || target.closest(TYPING)) return;
    if (event.key === " " && target.closest(PRESSED)) return;
    const found = actionOf(event.key);
    const run = found && actions[found.action];
    if (!run || (target.closest(OPEN) && found.action !== "help") || (document.querySelector("dialog[open]") && found.action !== "help")) return;
    event.preventDefault();
    run(found.at, event.shiftKey);
  });
}

/** A key that means something to one panel alone: nobody else hears of it. */
export function act(event: KeyboardEvent, actions: Readonly<Record<string, () => void>>): void {
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  event.stopPropagation();
  action();
}

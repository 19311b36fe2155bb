// What can be done with the list beside reading it: how it is grouped, how dense it is, what becomes of the chosen market.

import type { Choices, Grouping } from "../../state/watch.ts";
import { h, show } from "../../ui/dom.ts";

const GROUP_WORDS: Readonly<Record<Grouping, string>> = { none: "none", venue: "by venue", base: "by asset", own: "my own" };

export interface Deeds {
  readonly choose: (change: Partial<Choices>) => void;
  readonly put: (group: string) => void;
  readonly move: (by: 1 | -1) => void;
  readonly remove: () => void;
}

export class WatchMenu {
  readonly button = h("button", { type: "button", class: "tool", "aria-expanded": "false", "aria-controls": "watch-menu", title: "Groups, order, removing" }, "⋯", h("span", { class: "sr" }, "More of the list"));
  readonly el = h("div", { class: "tape-more", id: "watch-menu", hidden: true });
  private readonly groups = h("datalist", { id: "watch-groups" });
  private readonly grouping = h("select", { "aria-label": "Groups" }, ...Object.entries(GROUP_WORDS).map(([value, word]) => h("option", { value }, word)));
  private readonly compact = h("input", { type: "checkbox" });
  private readonly name = h("input", { type: "text", class: "tape-least", list: "watch-groups", placeholder: "group's name", "aria-label": "Put the chosen market into a group of this name", autocomplete: "off" });
  private readonly chosen = h("b", {});
  private readonly acts: readonly HTMLButtonElement[];

  constructor(deeds: Deeds) {
    const row = (text: string, ...parts: HTMLElement[]): HTMLElement => h("label", {}, h("span", {}, text), ...parts);
    const act = (text: string, title: string, deed: () => void): HTMLButtonElement => {
      const button = h("button", { type: "button", class: "small", title }, text);
      button.addEventListener("click", deed);
      return button;
    };
    this.acts = [
      act("▲ up", "Alt+↑ in the list", () => deeds.move(-1)), act("▼ down", "Alt+↓ in the list", () => deeds.move(1)),
      act("Remove", "Delete in the list: it is streamed no more", () => deeds.remove()),
    ];
    this.el.append(
      row("Groups", this.grouping), row("Dense", this.compact), h("div", { class: "watch-acts" }, this.chosen, ...this.acts), row("In group", this.name, this.groups),
    );
    this.button.addEventListener("click", () => {
      show(this.el, this.el.hidden === true);
      this.button.setAttribute("aria-expanded", String(!this.el.hidden));
    });
    this.grouping.addEventListener("change", () => deeds.choose({ group: this.grouping.value as Grouping }));
    this.compact.addEventListener("change", () => deeds.choose({ compact: this.compact.checked }));
    this.name.addEventListener("change", () => deeds.put(this.name.value.trim()));
  }

  render(choices: Choices, chosen: string): void {
    this.grouping.value = choices.group;
    this.compact.checked = choices.compact;
    this.chosen.textContent = chosen;
    for (const button of this.acts) button.disabled = chosen === "";
    if (document.activeElement !== this.name) this.name.value = choices.own.find((g) => g.ids.includes(chosen))?.name ?? "";
    this.groups.replaceChildren(...choices.own.map((g) => h("option", { value: g.name })));
  }
}

// The bar of a narrow screen: four panels, the one that was chosen beyond them, and a menu of all.

import { h } from "../ui/dom.ts";
import { openMenu } from "../ui/menu.ts";
import type { Workspace } from "./workspace.ts";

const MAIN = ["watch", "chart", "ladder", "tape"];

export class Bottom {
  readonly el: HTMLElement;
  private readonly tabs = h("div", { role: "tablist", "aria-label": "Panels" });
  private readonly workspace: Workspace;
  private readonly ids: readonly string[];
  private other: string;

  constructor(workspace: Workspace, ids: readonly string[]) {
    this.workspace = workspace;
    this.ids = ids;
    this.other = ids.find((id) => !MAIN.includes(id) && id === "metrics") ?? "";
    const more = h("button", { type: "button", "aria-haspopup": "menu", "data-testid": "more" }, "More");
    more.addEventListener("click", () => openMenu(more, "Panels", this.choices()));
    this.tabs.addEventListener("keydown", (event) => this.key(event));
    this.el = h("nav", { class: "bottom", "aria-label": "Panels" }, this.tabs, more);
    this.draw();
  }

  draw(): void {
    const { chosen } = this.workspace;
    if (!MAIN.includes(chosen)) this.other = chosen;
    const held = this.tabs.contains(document.activeElement);
    this.tabs.replaceChildren(...[...MAIN, this.other].filter((id) => this.workspace.has(id)).map((id) => this.tab(id, id === chosen)));
    if (held) this.tabs.querySelector<HTMLElement>("[aria-selected=true]")?.focus();
  }

  private tab(id: string, selected: boolean): HTMLElement {
    const tab = h("button", { type: "button", role: "tab", "aria-selected": String(selected), "aria-controls": `panel-${id}`, tabindex: selected ? 0 : -1 }, this.workspace.title(id));
    tab.dataset["panel"] = id;
    tab.addEventListener("click", () => this.workspace.pick(id));
    return tab;
  }

  private choices(): { label: string; checked: boolean; run: () => void }[] {
    return this.ids.map((id) => ({ label: this.workspace.title(id), checked: id === this.workspace.chosen, run: () => this.workspace.pick(id) }));
  }

  private key(event: KeyboardEvent): void {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const ids = [...this.tabs.children].map((el) => (el as HTMLElement).dataset["panel"] ?? "");
    const next = ids[(ids.indexOf(this.workspace.chosen) + by + ids.length) % ids.length];
    if (next) this.workspace.pick(next);
  }
}

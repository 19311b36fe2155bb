// One group of tabs: its strip (tabs, and what can be done with the group) over the panel that is on top.

import type { Group } from "../state/layout.ts";
import type { Rect } from "../state/placing.ts";
import { h, icon, mark } from "../ui/dom.ts";

export const HEAD = 29; // pixels: the height of a strip, as in workspace.css

/** What a group asks of the workspace. */
export interface Acts {
  readonly activate: (panel: string, focus: boolean) => void;
  readonly close: (panel: string) => void;
  readonly drag: (panel: string, tab: HTMLElement, event: PointerEvent) => void;
  readonly nudge: (panel: string, key: string) => void;
  readonly maximise: (panel: string) => void;
  readonly add: (group: number, anchor: HTMLElement) => void;
  readonly menu: (panel: string, anchor: HTMLElement) => void;
}

const PLUS = "M12 5v14M5 12h14";
const FULL = "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5";
const MORE = "M5 12h.01M12 12h.01M19 12h.01";

export class GroupBox {
  readonly el: HTMLElement;
  readonly body = h("div", { class: "group-body" });
  private readonly tabs = h("div", { class: "group-tabs", role: "tablist" });
  private readonly acts: Acts;
  private readonly full: HTMLButtonElement;
  private drawn = "";
  private group: Group | null = null;

  constructor(acts: Acts) {
    this.acts = acts;
    const act = (label: string, path: string, run: (button: HTMLButtonElement) => void): HTMLButtonElement => {
      const button = h("button", { type: "button", class: "icon", "aria-label": label, title: label }, icon(path));
      button.addEventListener("click", () => run(button));
      return button;
    };
    const top = (run: (panel: string) => void): void => void (this.group && run(this.group.active));
    this.full = act("Maximise", FULL, () => top(acts.maximise));
    const add = act("Add a panel here", PLUS, (b) => void (this.group && acts.add(this.group.id, b)));
    const more = act("More of this panel", MORE, (b) => top((panel) => acts.menu(panel, b)));
    for (const button of [add, more]) button.setAttribute("aria-haspopup", "menu");
    const head = h("div", { class: "group-head" }, this.tabs, h("div", { class: "group-acts" }, add, this.full, more));
    head.addEventListener("dblclick", (event) => !(event.target as HTMLElement).closest(".icon") && top(acts.maximise));
    this.tabs.addEventListener("keydown", (event) => this.key(event));
    this.tabs.addEventListener("wheel", (event) => (this.tabs.scrollLeft += event.deltaX + event.deltaY), { passive: true });
    this.tabs.addEventListener("scroll", () => this.fade(), { passive: true });
    new ResizeObserver(() => this.fade()).observe(this.tabs);
    this.el = h("div", { class: "group" }, head, this.body);
  }

  show(group: Group, rect: Rect, titles: (panel: string) => string, slim: boolean, full: boolean): void {
    this.group = group;
    const { style } = this.el;
    for (const [name, to] of [["left", rect.x], ["top", rect.y], ["width", rect.width], ["height", rect.height]] as const) {
      const text = `${to}px`;
      if (style[name] !== text) style[name] = text;
    }
    mark(this.el, "slim", String(slim));
    mark(this.el, "full", String(full));
    const word = full ? "Restore" : "Maximise";
    if (this.full.title !== word) {
      this.full.title = word;
      this.full.setAttribute("aria-label", word);
    }
    const key = `${group.tabs.join()} ${group.active}`;
    if (key !== this.drawn) this.drawTabs(group, titles);
    this.drawn = key;
  }

  /** The place among the tabs that a point is at: for a drop. */
  placeAt(x: number): number {
    const all = [...this.tabs.children];
    const at = all.findIndex((tab) => {
      const { left, width } = tab.getBoundingClientRect();
      return x < left + width / 2;
    });
    return at < 0 ? all.length : at;
  }

  focus(): void {
    this.tabs.querySelector<HTMLElement>("[aria-selected=true]")?.focus();
  }

  private drawTabs(group: Group, titles: (panel: string) => string): void {
    this.tabs.setAttribute("aria-label", group.tabs.map(titles).join(", "));
    const held = this.tabs.contains(document.activeElement);
    const old = new Map([...this.tabs.children].map((el) => [(el as HTMLElement).dataset["panel"], el as HTMLElement]));
    this.tabs.replaceChildren(...group.tabs.map((panel) => old.get(panel) ?? this.tab(panel, titles(panel))));
    for (const el of this.tabs.children as Iterable<HTMLElement> & HTMLCollection) {
      const selected = (el as HTMLElement).dataset["panel"] === group.active;
      el.setAttribute("aria-selected", String(selected));
      (el as HTMLElement).tabIndex = selected ? 0 : -1;
      if (selected) el.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    if (held) this.focus();
    this.fade();
  }

  /** The last tab fades where more stand behind it. */
  private fade(): void {
    const { scrollLeft, clientWidth, scrollWidth } = this.tabs;
    mark(this.tabs, "more", String(scrollLeft + clientWidth < scrollWidth - 1));
  }

  private tab(panel: string, title: string): HTMLElement {
    const tab = h("button", { type: "button", role: "tab", class: "tab", "aria-controls": `panel-${panel}`, "data-panel": panel, title: "Drag to move; right button for more" }, title);
    tab.addEventListener("click", () => this.acts.activate(panel, true));
    tab.addEventListener("pointerdown", (event) => event.button === 0 && this.acts.drag(panel, tab, event));
    tab.addEventListener("auxclick", (event) => event.button === 1 && this.acts.close(panel));
    tab.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      this.acts.menu(panel, tab);
    });
    return tab;
  }

  private key(event: KeyboardEvent): void {
    const { group, acts } = this;
    if (!group) return;
    const at = group.tabs.indexOf(group.active);
    const arrow = event.key.startsWith("Arrow");
    if (event.key === "Delete") acts.close(group.active);
    else if (arrow && event.altKey) acts.nudge(group.active, event.key);
    else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const by = event.key === "ArrowRight" ? 1 : -1;
      acts.activate(group.tabs[(at + by + group.tabs.length) % group.tabs.length] ?? group.active, true);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

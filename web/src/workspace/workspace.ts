// The page's panels in their places: draws the arrangement, and changes it as the viewer drags, presses and chooses.
//
// Everything is laid out by numbers (state/placing.ts), so that moving a border moves rectangles and nothing else. A panel is made when
// it is first seen, keeps its element for good, and is told when it comes into view; one that is covered, closed or of another tab is
// neither painted nor does it ask for anything. Narrow, one panel is shown at a time, chosen below; the wide layout waits untouched.

import type { Page, PanelKind, Shown } from "../panels/kinds.ts";
import type { Arrangement } from "../state/arrangement.ts";
import { activate, groupOf, groupsOf, insert, type Layout, panelsOf, remove, resize, type Side } from "../state/layout.ts";
import { decode } from "../state/layouttext.ts";
import { dropAt, type Drop, neighbour, place, type Placed, type Rect, type Seam } from "../state/placing.ts";
import { narrowText, PRESETS } from "../state/presets.ts";
import type { Session } from "../state/session.ts";
import { h, mark, show } from "../ui/dom.ts";
import { type Entry, openMenu } from "../ui/menu.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import { store, stored } from "../ui/theme.ts";
import { dragTab } from "./drag.ts";
import { type Acts, GroupBox, HEAD } from "./group.ts";
import { SeamBar } from "./seam.ts";

const GAP = 6;
const BORDERS = 2; // of a group, above and below
const NARROW = "(max-width: 899px)";
const SIDES: Readonly<Record<string, Side>> = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "top", ArrowDown: "bottom" };
const DOCKED = ["metrics", "alerts", "events"]; // a panel that is opened from elsewhere joins these

export interface WorkspaceParts {
  readonly session: Session;
  readonly scheduler: Scheduler;
  readonly kinds: readonly PanelKind[];
  readonly page: Page;
  readonly arrangement: Arrangement;
}

export class Workspace {
  readonly el = h("main", { class: "workspace" });
  readonly arrangement: Arrangement;
  /** Called when the layout changed by the viewer's hand. */
  onChange: () => void = () => undefined;
  onNarrow: () => void = () => undefined;
  full: string | null = null; // the panel that is maximised
  private readonly parts: WorkspaceParts;
  private readonly made = new Map<string, Shown>();
  private readonly naturals = new Map<string, number>();
  private readonly seen = new Set<string>();
  private readonly boxes = new Map<number, GroupBox>();
  private readonly seams: SeamBar[] = [];
  private readonly zone = h("div", { class: "drop-zone", hidden: true, "data-testid": "drop-zone" });
  private readonly empty = h("div", { class: "workspace-empty", hidden: true });
  private readonly said = h("div", { class: "sr", "aria-live": "polite", "data-testid": "workspace-said" });
  private readonly media = matchMedia(NARROW);
  private readonly measured: ResizeObserver;
  private placed: Placed = { groups: [], seams: [] };
  private tab: string;
  private readonly acts: Acts = {
    activate: (panel, focus) => this.activate(panel, focus),
    close: (panel) => this.close(panel),
    drag: (panel, tab, event) => this.drag(panel, tab, event),
    nudge: (panel, key) => this.nudge(panel, key),
    maximise: (panel) => this.maximise(panel),
    add: (group, anchor) => openMenu(anchor, "Add a panel", this.addable(group)),
    menu: (panel, anchor) => openMenu(anchor, `Panel ${this.title(panel)}`, this.choices(panel)),
  };

  constructor(parts: WorkspaceParts) {
    this.parts = parts;
    this.arrangement = parts.arrangement;
    const saved = stored("tab") ?? "";
    this.tab = this.has(saved) ? saved : "chart";
    const again = h("button", { type: "button", class: "primary" }, "Trading layout");
    again.addEventListener("click", () => PRESETS[0] && this.arrange(() => this.arrangement.choose(PRESETS[0]!)));
    const add = h("button", { type: "button", class: "small" }, "Add a panel");
    add.addEventListener("click", () => openMenu(add, "Add a panel", this.addable(0)));
    this.empty.append(h("p", {}, "No panels here."), again, add);
    this.el.append(this.empty, this.zone, this.said);
    this.measured = new ResizeObserver((entries) => this.measure(entries));
    new ResizeObserver(() => this.resized()).observe(this.el);
    this.media.addEventListener("change", () => {
      this.onNarrow();
      this.draw();
    });
  }

  get narrow(): boolean {
    return this.media.matches;
  }

  /** The panel chosen on a narrow screen. */
  get chosen(): string {
    return this.tab;
  }

  has(id: string): boolean {
    return this.parts.kinds.some((k) => k.id === id);
  }

  title(id: string): string {
    return this.parts.kinds.find((k) => k.id === id)?.title ?? id;
  }

  /** The panel itself, made now if it never was seen. */
  panel(id: string): Shown | undefined {
    const kind = this.parts.kinds.find((k) => k.id === id);
    const old = this.made.get(id);
    if (old || !kind) return old;
    const shown = kind.make(this.parts.session, this.parts.page);
    mark(shown.el, "of", kind.of ?? "instrument");
    this.made.set(id, shown);
    this.parts.scheduler.add(shown, false);
    if (kind.slim) this.measured.observe(shown.el);
    return shown;
  }

  isSeen(id: string): boolean {
    return this.seen.has(id);
  }

  /** Brings a panel into view, wherever it stands; one that stands nowhere joins the dock. */
  open(id: string, focus = false): void {
    if (!this.has(id)) return;
    if (this.narrow) this.pick(id);
    else this.activate(id, focus);
  }

  /** The panel that has the focus. */
  get focused(): string | null {
    return this.placed.groups.find(({ group }) => this.boxes.get(group.id)?.el.contains(document.activeElement))?.group.active ?? null;
  }

  /** The focus to the next group's tab, or the one before. */
  cycle(by: number): void {
    const { groups } = this.placed;
    const at = groups.findIndex(({ group }) => group.active === this.focused);
    const next = groups[at < 0 ? 0 : (at + by + groups.length) % groups.length];
    if (next) this.boxes.get(next.group.id)?.focus();
  }

  pick(id: string): void {
    this.tab = id;
    store("tab", id);
    this.onNarrow();
    this.draw();
  }

  close(id: string): void {
    this.change(remove(this.arrangement.layout, id));
    this.say(`${this.title(id)} closed`);
  }

  maximise(id: string | null): void {
    this.full = this.full === null ? id : null;
    this.draw();
    if (id) this.boxOf(id)?.focus();
  }

  /** After the arrangement was changed from outside. */
  arrange(change: () => void): void {
    change();
    this.full = null;
    this.onChange();
    this.draw();
  }

  private change(layout: Layout): void {
    if (layout === this.arrangement.layout) return;
    this.arrangement.change(layout);
    if (this.full !== null && !groupOf(layout, this.full)) this.full = null;
    this.onChange();
    this.draw();
  }

  private activate(id: string, focus: boolean): void {
    const { layout } = this.arrangement;
    const home = groupOf(layout, id);
    if (home && this.full !== null && !home.tabs.includes(this.full)) this.full = null;
    if (!home) {
      const dock = DOCKED.flatMap((d) => groupOf(layout, d) ?? [])[0];
      this.change(insert(layout, id, dock && { group: dock.id }));
    } else if (home.active !== id) this.change(activate(layout, id));
    this.draw();
    if (focus) this.boxOf(id)?.focus();
  }

  private nudge(id: string, key: string): void {
    const side = SIDES[key];
    const { layout } = this.arrangement;
    const home = groupOf(layout, id);
    if (!side || !home) return;
    const next = neighbour(this.placed, home.id, side);
    if (home.tabs.length > 1) this.change(insert(layout, id, { group: home.id, side }));
    else if (next) this.change(insert(layout, id, { group: next.id }));
    else this.change(insert(layout, id, { edge: side }));
    this.boxOf(id)?.focus();
    this.say(`${this.title(id)} moved`);
  }

  private drag(id: string, tab: HTMLElement, event: PointerEvent): void {
    if (this.narrow || this.full !== null) return;
    const at = this.el.getBoundingClientRect();
    dragTab(tab, event, this.zone, {
      title: this.title(id),
      dropAt: (x, y) => dropAt(this.placed, this.room, x - at.left, y - at.top, HEAD),
      words: (drop) => this.words(drop),
      drop: (drop, x) => {
        const { target } = drop;
        const tabs = "group" in target && !("side" in target);
        const to = tabs ? { ...target, at: this.boxes.get(target.group)?.placeAt(x) ?? 0 } : target;
        this.change(insert(this.arrangement.layout, id, to));
        this.say(`${this.title(id)} moved`);
      },
    });
  }

  private words({ target }: Drop): string {
    if ("edge" in target) return { left: "Along the left edge", right: "Along the right edge", top: "Along the top", bottom: "Along the bottom" }[target.edge];
    const group = groupsOf(this.arrangement.layout).find((g) => g.id === target.group);
    const name = this.title(group?.active ?? "");
    if (!("side" in target)) return `Tab beside ${name}`;
    return `${{ left: "Left of", right: "Right of", top: "Above", bottom: "Below" }[target.side]} ${name}`;
  }

  private addable(group: number): Entry[] {
    const { layout } = this.arrangement;
    const here = groupsOf(layout).find((g) => g.id === group);
    return this.parts.kinds.map((kind) => ({
      label: kind.title,
      checked: panelsOf(layout).includes(kind.id),
      run: () => this.change(insert(this.arrangement.layout, kind.id, here && { group })),
    }));
  }

  private choices(id: string): Entry[] {
    const home = groupOf(this.arrangement.layout, id);
    const move = (label: string, key: string, sign: string): Entry => ({ label, hint: `Alt ${sign}`, run: () => this.nudge(id, key) });
    const anchor = (): HTMLElement => this.boxOf(id)?.el.querySelector<HTMLElement>("[aria-selected=true]") ?? this.el;
    return [
      { label: this.full === null ? "Maximise" : "Restore", hint: "f", run: () => this.maximise(id) },
      { label: "Close", hint: "Delete", run: () => this.close(id) },
      { heading: "Move" },
      move("Left", "ArrowLeft", "←"), move("Right", "ArrowRight", "→"), move("Up", "ArrowUp", "↑"), move("Down", "ArrowDown", "↓"),
      { heading: "Here" },
      { label: "Add a panel…", run: () => openMenu(anchor(), "Add a panel", this.addable(home?.id ?? 0)) },
    ];
  }

  private boxOf(id: string): GroupBox | undefined {
    const group = groupOf(this.arrangement.layout, id);
    return group && this.boxes.get(group.id);
  }

  private say(text: string): void {
    this.said.textContent = text;
  }

  private get room(): Rect {
    return { x: 0, y: 0, width: this.el.clientWidth, height: this.el.clientHeight };
  }

  private resized(): void {
    if (!this.narrow) this.arrangement.fit(this.el.clientWidth);
    this.draw();
  }

  private measure(entries: readonly ResizeObserverEntry[]): void {
    let changed = false;
    for (const { target } of entries) {
      const id = [...this.made].find(([, shown]) => shown.el === target)?.[0];
      const height = Math.ceil((target as HTMLElement).offsetHeight) + BORDERS;
      if (!id || height === BORDERS || this.naturals.get(id) === height) continue;
      this.naturals.set(id, height);
      changed = true;
    }
    if (changed) this.draw();
  }

  /** What is to be seen now: all, the group that is maximised, or the one panel that a narrow screen has room for. */
  private get view(): Layout {
    if (this.narrow) return decode(narrowText(this.tab), this.parts.kinds.map((k) => k.id)) ?? null;
    const { layout } = this.arrangement;
    return this.full === null ? layout : (groupOf(layout, this.full) ?? layout);
  }

  draw(): void {
    const { kinds } = this.parts;
    const natural = (id: string): number | null => this.naturals.get(id) ?? kinds.find((k) => k.id === id)?.slim ?? null;
    this.placed = place(this.view, this.room, { gap: GAP, natural });
    mark(this.el, "narrow", String(this.narrow));
    show(this.empty, this.placed.groups.length === 0);
    this.drawGroups();
    this.drawSeams();
    this.tell();
  }

  private drawGroups(): void {
    const wanted = new Set(this.placed.groups.map(({ group }) => group.id));
    for (const [id, box] of this.boxes) if (!wanted.has(id)) this.drop(id, box);
    this.placed.groups.forEach(({ group, rect }, at) => {
      let box = this.boxes.get(group.id);
      if (!box) this.boxes.set(group.id, (box = new GroupBox(this.acts)));
      if (this.el.children[at] !== box.el) this.el.insertBefore(box.el, this.el.children[at] ?? null);
      const [only] = group.tabs;
      const slim = group.tabs.length === 1 && this.parts.kinds.some((k) => k.id === only && k.slim);
      box.show(group, rect, (id) => this.title(id), slim, this.full !== null);
      this.fill(box, group.tabs, group.active);
    });
  }

  private drop(id: number, box: GroupBox): void {
    box.el.remove();
    this.boxes.delete(id);
  }

  private fill(box: GroupBox, tabs: readonly string[], active: string): void {
    const wanted = tabs.flatMap((id) => (id === active ? this.panel(id) : this.made.get(id)) ?? []);
    for (const el of [...box.body.children]) if (!wanted.some((s) => s.el === el)) el.remove();
    for (const shown of wanted) {
      if (shown.el.parentElement !== box.body) box.body.append(shown.el);
      shown.el.classList.toggle("off", shown !== this.made.get(active));
    }
  }

  private drawSeams(): void {
    const seams = this.narrow ? [] : this.placed.seams;
    while (this.seams.length < seams.length) {
      const bar = new SeamBar((seam, by, from) => this.resize(seam, by, from), (seam) => this.even(seam));
      this.seams.push(bar);
      this.el.append(bar.el);
    }
    this.seams.forEach((bar, i) => {
      const seam = seams[i];
      show(bar.el, seam !== undefined);
      if (seam) bar.show(seam, (id) => this.title(id));
    });
  }

  private resize(seam: Seam, by: number, from: readonly number[]): void {
    this.change(resize(this.arrangement.layout, seam.split, seam.at, by, from, seam.mins));
  }

  /** A double click on a border: both sides alike. */
  private even(seam: Seam): void {
    const [a = 0, b = 0] = seam.sizes.slice(seam.at, seam.at + 2);
    this.resize(seam, (b - a) / 2, seam.sizes);
  }

  /** Panels learn that they came into view, or went. */
  private tell(): void {
    const now = new Set(this.placed.groups.map(({ group }) => group.active));
    for (const id of [...this.seen]) if (!now.has(id)) this.turn(id, false);
    for (const id of now) if (!this.seen.has(id)) this.turn(id, true);
  }

  private turn(id: string, seen: boolean): void {
    const shown = this.made.get(id);
    if (!shown) return;
    if (seen) this.seen.add(id);
    else this.seen.delete(id);
    shown.visible?.(seen);
    this.parts.scheduler.show(shown, seen);
  }
}

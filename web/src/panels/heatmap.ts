// The book over time: price upwards, time to the right, colour by resting size; trades as bubbles, the touch as two lines. What is drawn
// and when: `heatmap/scene.ts`. Hidden or covered it asks for nothing and draws nothing.

import "../styles/heatmap.css";
import type { Every } from "../api/types.ts";
import { nearestStep, stepDecimals, steps } from "../book/grouping.ts";
import { bookState, whyNot } from "../book/proof.ts";
import { shadesOf } from "../heatmap/colours.ts";
import { EVERY } from "../heatmap/columns.ts";
import { hands } from "../heatmap/hands.ts";
import { Legend } from "../heatmap/legend.ts";
import { Pointer } from "../heatmap/pointer.ts";
import { Scenery } from "../heatmap/scene.ts";
import { HeatStore } from "../heatmap/store.ts";
import { WallTable } from "../heatmap/walltable.ts";
import { followed, pan, zoomPrice, zoomTime, timeAt } from "../heatmap/viewport.ts";
import { HEATMAP_KEYS, spokenKeys } from "../state/panelkeys.ts";
import type { Session } from "../state/session.ts";
import { Surface } from "../ui/canvas.ts";
import { h, mark, panel, show, value } from "../ui/dom.ts";
import { fixed } from "../ui/format.ts";
import type { Topic } from "../ui/scheduler.ts";
import { reducedMotion, store, stored } from "../ui/theme.ts";
import type { Shown } from "./kinds.ts";

const STEP_SHARE = 3e-5; // of the price: the step to begin with
const EASE = 0.18; // of the way to the price, a frame
const CONTRAST = 50;
const DRAWN: readonly Topic[] = ["heatmap", "book", "trades", "selection", "theme", "zone"];

export class Heatmap implements Shown {
  readonly topics: readonly Topic[] = ["heatmap", "book", "trades", "selection", "theme", "zone", "link", "status"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly data: HeatStore;
  private readonly scene = new Scenery();
  private readonly surface = new Surface("heat-canvas", () => this.draw(), true);
  private readonly pointer: Pointer;
  private readonly legend = new Legend();
  private readonly walls: WallTable;
  private readonly box: HTMLElement;
  private readonly followButton = toggle("Follow", "Follow the price and the time (f)");
  private readonly tradesButton = toggle("Trades", "Trades as bubbles: area by size");
  private readonly tableButton = toggle("Table", "The largest resting sizes as a table");
  private readonly stepSelect = h("select", { "aria-label": "Price step", title: "Price step, keys [ and ]", "data-testid": "heat-step" });
  private readonly everySelect = h("select", { "aria-label": "A column each", title: "A column each", "data-testid": "heat-every" });
  private readonly contrast = h("input", { type: "range", min: 0, max: 100, step: 1, "aria-label": "Contrast", title: "Contrast, keys , and .", "data-testid": "heat-contrast" });
  private readonly verdict = value("veil-verdict");
  private readonly reason = value("veil-reason", "heat-reason");
  private readonly veil = h("div", { class: "veil", hidden: true }, this.verdict.el, this.reason.el);
  private shown = false;
  private following = true;
  private easing = false;
  private offered = "";
  private state = "";
  private timer: number | undefined;

  constructor(session: Session) {
    this.session = session;
    this.data = new HeatStore(() => session.view.id, session.scheduler, () => session.asks());
    session.add(this.data);
    this.contrast.value = stored("heat-contrast") ?? String(CONTRAST);
    for (const every of Object.keys(EVERY)) this.everySelect.append(h("option", { value: every }, `every ${every}`));
    this.everySelect.value = Object.keys(EVERY).find((e) => e === stored("heat-every")) ?? "1s";
    this.pointer = new Pointer(session, this.data, this.scene);
    this.walls = new WallTable(session, this.data, this.scene);
    this.box = h("div", { class: "heat-box value", tabindex: 0, role: "group", "aria-label": HELP, "data-testid": "heatmap" }, this.surface.el, this.pointer.surface.el, this.pointer.text.el);
    const choices = h("span", { class: "tool-part" }, this.stepSelect, this.everySelect);
    const contrast = h("label", { class: "tool-part" }, h("span", {}, "Contrast"), this.contrast);
    const head = h("div", { class: "draw-tools" }, this.followButton, this.tradesButton, choices, contrast, this.legend.el, this.tableButton);
    this.el = panel("heatmap", "Heatmap of the book", head, h("div", { class: "heat-area" }, this.box, this.walls.el, this.veil));
    press(this.followButton, true);
    press(this.tradesButton, stored("heat-trades") !== "off");
    this.listen();
  }

  visible(shown: boolean): void {
    if (shown === this.shown) return;
    this.shown = shown;
    window.clearTimeout(this.timer);
    this.data.watch(shown);
    if (shown) this.render(new Set(["theme"]));
  }

  render(dirty: ReadonlySet<Topic>): void {
    if (dirty.has("theme")) this.themed();
    if (!this.shown || !(this.turned() || DRAWN.some((topic) => dirty.has(topic)))) return;
    this.offer();
    this.draw();
    this.walls.render();
  }

  /** Of the status and the link, which are touched several times a second, only what changes the picture. */
  private turned(): boolean {
    const { health, view, market } = this.session;
    const state = `${health.dead} ${market.rows.get(view.id)?.info?.book}`;
    const turned = state !== this.state;
    this.state = state;
    return turned;
  }

  private themed(): void {
    const name = document.documentElement.dataset["theme"] === "light" ? "light" : "dark";
    this.scene.theme(name);
    this.legend.colours(shadesOf(name));
  }

  private draw(): void {
    if (!this.shown || !this.surface.ready()) return;
    const { session, scene, surface } = this;
    const row = session.market.rows.get(session.view.id);
    const columns = scene.advance(session, this.data, surface, Number(this.contrast.value));
    this.judge(columns !== null);
    if (!columns || !row) {
      surface.g.fillStyle = scene.ink.ground;
      surface.g.fillRect(0, 0, surface.width, surface.height);
      return;
    }
    if (this.following) this.follow();
    const trades = this.tradesButton.getAttribute("aria-pressed") === "true" ? this.data.bubbles.items : [];
    scene.draw(surface, columns, trades, row.priceDecimals, this.data.ended);
    this.pointer.draw();
    this.legend.values(scene.bounds, row.sizeDecimals);
    if (scene.view && timeAt(scene.view, scene.area, 0) < columns.first * columns.width) void this.data.loadOlder();
    this.again();
  }

  /** Counters for tests, who ask by an event: a frame is one blit, and columns are painted once. */
  private count(): void {
    const { dataset } = this.box;
    dataset["frames"] = String(this.scene.frames);
    dataset["painted"] = String(this.scene.raster.painted);
  }

  private follow(): void {
    const { scene, data } = this;
    if (!data.columns || !scene.view) return;
    scene.follow(data.columns, reducedMotion());
    const to = this.easing ? (scene.mid ?? scene.view.centre) : followed(scene.view, scene.area, scene.mid);
    const far = to - scene.view.centre;
    this.easing = !reducedMotion() && Math.abs(far) > scene.view.pricePerPx;
    scene.view = { ...scene.view, centre: this.easing ? scene.view.centre + far * EASE : to };
  }

  /** The next frame that time alone asks for. */
  private again(): void {
    window.clearTimeout(this.timer);
    const { scene, session, surface } = this;
    if (!this.following || document.hidden || session.health.dead || session.status?.mode === "replay") return;
    const columns = this.data.columns;
    const wait = this.easing ? 0 : (reducedMotion() && columns ? columns.width : scene.pixelTime(surface.ratio)) / 1000;
    if (wait <= 17) session.scheduler.touch("heatmap");
    else this.timer = window.setTimeout(() => session.scheduler.touch("heatmap"), wait);
  }

  private judge(drawn: boolean): void {
    const { session, data } = this;
    const row = session.market.rows.get(session.view.id);
    const state = bookState(session.view.book, row);
    mark(this.el, "book", state ?? "unknown");
    const proved = state === "synced";
    show(this.veil, !drawn || !proved);
    mark(this.veil, "over", String(drawn));
    this.verdict.set(state === "none" ? "No book" : !proved ? "Book not proved" : "");
    this.reason.set(!proved ? whyNot(session, row, state) : data.trouble ? `no history: ${data.trouble}` : "the book's history is on its way", state);
  }

  private offer(): void {
    const { session, data } = this;
    const row = session.market.rows.get(session.view.id);
    const price = row?.price ?? null;
    if (!row || price === null) return;
    const list = steps(session.ticks.of(row.id), price);
    const key = `${row.id} ${list.join()}`;
    if (key !== this.offered) {
      this.offered = key;
      this.stepSelect.replaceChildren(...list.map((step) => h("option", { value: String(step) }, `step ${fixed(step, stepDecimals(step))}`)));
      const mine = Number(stored(`heat-step.${row.id}`));
      this.stepSelect.value = String(list.includes(mine) ? mine : nearestStep(list, price * STEP_SHARE));
    }
    data.choose(Number(this.stepSelect.value), this.everySelect.value as Every);
  }

  private listen(): void {
    this.followButton.addEventListener("click", () => this.setFollow(!this.following));
    this.tradesButton.addEventListener("click", () => {
      const on = this.tradesButton.getAttribute("aria-pressed") !== "true";
      press(this.tradesButton, on);
      store("heat-trades", on ? "on" : "off");
      this.touch();
    });
    this.tableButton.addEventListener("click", () => {
      press(this.tableButton, this.walls.toggle());
      this.touch();
    });
    this.stepSelect.addEventListener("change", () => this.setStep(Number(this.stepSelect.value)));
    this.everySelect.addEventListener("change", () => {
      store("heat-every", this.everySelect.value);
      this.touch();
    });
    this.contrast.addEventListener("input", () => this.setContrast(Number(this.contrast.value)));
    this.box.addEventListener("tapeline-count", () => this.count());
    hands(this.box, {
      pan: (dx, dy) => this.move((v) => pan(v, dx, dy), false),
      zoomTime: (factor, x) => this.zoom(factor, x),
      zoomPrice: (factor, y) => this.zoomPrice(factor, y),
      point: (at) => this.pointer.point(at),
      contrast: (by) => this.setContrast(Number(this.contrast.value) + by),
      step: (by) => this.nextStep(by),
      follow: () => this.setFollow(true),
      onAxis: (x) => x > this.scene.area.width,
    });
  }

  private move(to: (view: NonNullable<Scenery["view"]>) => NonNullable<Scenery["view"]>, keep: boolean): void {
    const { scene } = this;
    if (!scene.view) return;
    scene.view = to(scene.view);
    if (!keep) this.setFollow(false);
    this.touch();
  }

  private zoom(factor: number, x: number | null): void {
    const { scene, data: { columns }, surface } = this;
    if (!columns) return;
    this.move((v) => zoomTime(v, scene.area, factor, this.following || x === null ? scene.area.width : x, scene.limits(columns, surface.ratio)), true);
  }

  private zoomPrice(factor: number, y: number | null): void {
    const { scene, data: { columns }, surface } = this;
    if (!columns) return;
    this.move((v) => zoomPrice(v, scene.area, factor, y ?? scene.area.height / 2, scene.limits(columns, surface.ratio)), true);
  }

  private setFollow(on: boolean): void {
    this.following = on;
    this.easing = on;
    press(this.followButton, on);
    this.touch();
  }

  private setContrast(to: number): void {
    this.contrast.value = String(to);
    store("heat-contrast", this.contrast.value);
    this.touch();
  }

  private setStep(step: number): void {
    this.stepSelect.value = String(step);
    store(`heat-step.${this.session.view.id}`, String(step));
    this.touch();
  }

  private nextStep(by: number): void {
    const option = this.stepSelect.options[this.stepSelect.selectedIndex + by];
    if (option) this.setStep(Number(option.value));
  }

  private touch(): void {
    this.session.scheduler.touch("heatmap");
  }
}

const HELP = `Heatmap of the book; the table holds the same as text. Keys: ${spokenKeys(HEATMAP_KEYS)}`;

function toggle(label: string, title: string): HTMLButtonElement {
  return h("button", { type: "button", class: "toggle", "aria-pressed": "false", title }, label);
}

function press(button: HTMLElement, on: boolean): void {
  button.setAttribute("aria-pressed", String(on));
}

// What is chosen for the chart: indicators with their parameters, other instruments, lines. Each a box under its button.

import { type Value, h, value } from "../ui/dom.ts";
import { fixed } from "../ui/format.ts";
import type { Settings } from "./memory.ts";
import { MOST_OTHERS, MOST_STUDIES } from "./memory.ts";
import { Popup } from "./popup.ts";
import { type Chosen, cleaned, keyOf, kindOf, STUDIES, titleOf } from "./studies.ts";

type Change = (change: (settings: Settings) => void) => void;

function remover(label: string, act: () => void): HTMLButtonElement {
  const button = h("button", { type: "button", class: "popup-remove", "aria-label": `Remove ${label}` }, "×");
  button.addEventListener("click", act);
  return button;
}

function check(label: string, hint: string, on: boolean, act: (on: boolean) => void): HTMLElement {
  const box = h("input", { type: "checkbox" });
  box.checked = on;
  box.addEventListener("change", () => act(box.checked));
  return h("label", { class: "popup-check" }, box, h("span", {}, label), h("small", {}, hint));
}

/** `metrics`: names of the sampled metrics of this instrument. */
export function indicatorMenu(back: HTMLElement, settings: () => Settings, metrics: () => readonly string[], change: Change): Popup {
  const popup = new Popup("Indicators", back, "popup-studies");
  const fill = (): void => {
    const now = settings();
    const set = (studies: Chosen[]): void => {
      change((s) => (s.studies = studies));
      fill();
    };
    const add = (chosen: Chosen): void => {
      if (now.studies.length < MOST_STUDIES && !now.studies.some((c) => keyOf(c) === keyOf(chosen))) set([...now.studies, chosen]);
    };
    const on = now.studies.map((c, i) => chosenLine(c, (next) => set(next ? now.studies.with(i, next) : now.studies.toSpliced(i, 1))));
    const kinds = STUDIES.map((kind) => adder(kind.title, kind.about, () => add({ kind: kind.id, params: cleaned(kind, []) })));
    const sampled = metrics().filter((name) => !now.studies.some((c) => c.metric === name));
    popup.el.replaceChildren(
      h("div", { class: "popup-group" }, check("Volume", "bought below, sold above", now.volume, (v) => change((s) => (s.volume = v))),
        check("Mid", "as it moves", now.mid, (v) => change((s) => (s.mid = v)))),
      h("h4", {}, "On this chart"), on.length > 0 ? h("ul", { class: "popup-list", "data-testid": "studies-on" }, ...on) : h("p", { class: "popup-none" }, "None yet."),
      h("h4", {}, "Add"), h("div", { class: "popup-adders" }, ...kinds),
      ...(sampled.length > 0 ? [h("h4", {}, "Metrics of the server, as it samples them"), metricPicker(sampled, (metric) => add({ kind: "metric", params: [], metric }))] : []),
    );
  };
  fill();
  return popup;
}

function adder(title: string, about: string, act: () => void): HTMLElement {
  const button = h("button", { type: "button", title: about, "aria-label": `Add ${title}: ${about}` }, h("b", {}, title), h("small", {}, about));
  button.addEventListener("click", act);
  return button;
}

function metricPicker(names: readonly string[], add: (name: string) => void): HTMLElement {
  const picker = h("select", { "aria-label": "Add a metric" }, h("option", { value: "" }, "choose a metric…"), ...names.map((name) => h("option", { value: name }, name)));
  picker.addEventListener("change", () => picker.value && add(picker.value));
  return picker;
}

/** One that is on, its parameters to be changed. */
function chosenLine(chosen: Chosen, put: (next: Chosen | null) => void): HTMLElement {
  const kind = kindOf(chosen.kind);
  const fields = (kind?.parameters ?? []).map((p, i) => {
    const input = h("input", {
      type: "number", min: p.min, max: p.max, step: p.step ?? 1, value: chosen.params[i] ?? p.value, title: p.label, "aria-label": `${kind?.title ?? ""}: ${p.label}`,
    });
    input.addEventListener("change", () => kind && put({ ...chosen, params: cleaned(kind, chosen.params.with(i, Number(input.value))) }));
    return input;
  });
  return h("li", {}, h("span", {}, kind?.title ?? titleOf(chosen)), ...fields, remover(titleOf(chosen), () => put(null)));
}

/** `find`: what can be added, by a part of its name, the likeliest first. */
export function compareMenu(back: HTMLElement, settings: () => Settings, find: (query: string) => readonly string[], change: Change): Popup {
  const popup = new Popup("Compare", back, "popup-compare");
  const search = h("input", { type: "search", placeholder: "Compare with…", "aria-label": "Instrument to compare with", spellcheck: "false", autocomplete: "off" });
  const on = h("ul", { class: "popup-list" });
  const found = h("ul", { class: "popup-found", "aria-label": "Instruments" });
  const put = (others: string[]): void => {
    change((s) => {
      if (s.others.length === 0 && others.length > 0 && s.scale === "price") s.scale = "percent";
      if (others.length === 0 && s.scale === "percent") s.scale = "price";
      s.others = others;
    });
    fill();
  };
  const pick = (id: string): void => put([...settings().others, id].slice(-MOST_OTHERS));
  const fill = (): void => {
    on.replaceChildren(...settings().others.map((id) => h("li", {}, h("span", {}, id), remover(id, () => put(settings().others.filter((o) => o !== id))))));
    const list = find(search.value).slice(0, 40);
    found.replaceChildren(...list.map((id) => {
      const button = h("button", { type: "button" }, id);
      button.addEventListener("click", () => pick(id));
      return h("li", {}, button);
    }));
    if (list.length === 0) found.replaceChildren(h("li", { class: "popup-none" }, "Nothing that is streamed has this in its name."));
  };
  search.addEventListener("input", fill);
  search.addEventListener("keydown", (event) => {
    const first = find(search.value)[0];
    if (event.key === "Enter" && first !== undefined) pick(first);
  });
  popup.el.append(search, on, found);
  fill();
  return popup;
}

export interface LineActions {
  readonly prices: () => readonly number[];
  readonly put: (prices: number[]) => void;
  readonly decimals: number;
  readonly newest: number | null;
}

/** Horizontal lines: each a number that can be changed, and a further one. */
export function linesMenu(back: HTMLElement, actions: LineActions): Popup {
  const popup = new Popup("Lines", back, "popup-lines");
  const step = 10 ** -actions.decimals;
  const number = (price: number | null, label: string): HTMLInputElement =>
    h("input", { type: "number", step, value: price === null ? "" : price.toFixed(actions.decimals), "aria-label": label });
  const fill = (): void => {
    const prices = actions.prices();
    const set = (next: number[]): void => {
      actions.put(next);
      fill();
    };
    const on = prices.map((price, i) => {
      const input = number(price, `Line at ${fixed(price, actions.decimals)}`);
      input.addEventListener("change", () => Number.isFinite(input.valueAsNumber) && set(prices.with(i, input.valueAsNumber)));
      return h("li", {}, input, remover(`the line at ${fixed(price, actions.decimals)}`, () => set(prices.toSpliced(i, 1))));
    });
    const fresh = number(actions.newest, "Price of a new line");
    const add = h("button", { type: "submit", class: "primary" }, "Draw");
    const form = h("form", { class: "popup-new" }, fresh, add);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (Number.isFinite(fresh.valueAsNumber)) set([...prices, fresh.valueAsNumber]);
    });
    popup.el.replaceChildren(form, h("ul", { class: "popup-list" }, ...on), h("p", { class: "popup-none" }, "Or double-click on the chart; drag a line to move it."));
  };
  fill();
  return popup;
}

export interface Choice {
  readonly label: string;
  readonly run: () => void;
}

/** What can be done at one place of the chart. */
export function placeMenu(back: HTMLElement, title: string, choices: readonly Choice[], closed: () => void): Popup {
  const popup = new Popup("Chart", back, "popup-place", closed);
  const heading: Value = value("popup-title num");
  heading.set(title);
  const items = choices.map(({ label, run }) => {
    const button = h("button", { type: "button" }, label);
    button.addEventListener("click", () => {
      popup.close();
      run();
    });
    return button;
  });
  popup.el.append(heading.el, ...items);
  popup.el.addEventListener("keydown", (event) => {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    const at = items.findIndex((b) => b === document.activeElement);
    items[(at + by + items.length) % items.length]?.focus();
  });
  return popup;
}

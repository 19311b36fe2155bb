// What the reader of the tape chooses: the least size, how trades are merged, what is large, sound, stillness. Remembered.

import { amountText, type Merge, MERGES, parseAmount, type Tape } from "../../state/tape.ts";
import { h, show } from "../../ui/dom.ts";
import { store, stored } from "../../ui/theme.ts";

const STEPS = ["all", "1k", "5k", "10k", "50k", "100k", "500k", "1M"];
const MERGE_WORDS: Readonly<Record<Merge, string>> = {
  none: "every trade", instant: "one order (side and instant)", price: "one price (1 s)", side: "one side (1 s)",
};

export class TapeTools {
  readonly el: HTMLElement;
  readonly more: HTMLElement;
  sound = stored("tape.sound") === "on";
  private readonly tape: Tape;
  private readonly base: () => string;
  private readonly again: () => void;
  private readonly pause = h("button", { type: "button", class: "tool", "aria-pressed": "false", title: "Hold the tape still (Space)" }, "❙❙", h("span", { class: "sr" }, "Hold still"));
  private readonly least = h("input", { type: "text", class: "tape-least", "aria-label": "Least size: 10k in the quote asset, or 2 BTC", placeholder: "all sizes", list: "tape-steps", autocomplete: "off", spellcheck: "false" });
  private readonly large = h("input", { type: "text", class: "tape-least", "aria-label": "What is large: auto, 100k, 2 BTC", placeholder: "auto", autocomplete: "off", spellcheck: "false" });
  private readonly merge = h("select", { "aria-label": "Merge trades" }, ...MERGES.map((m) => h("option", { value: m }, MERGE_WORDS[m])));
  private readonly says = h("span", { class: "tape-says", role: "status" });

  constructor(tape: Tape, base: () => string, again: () => void, hold: () => void) {
    this.tape = tape;
    this.base = base;
    this.again = again;
    const gear = h("button", { type: "button", class: "tool", "aria-expanded": "false", "aria-controls": "tape-more", title: "Merging, large prints, sound" }, "⋯", h("span", { class: "sr" }, "More of the tape"));
    const sound = h("input", { type: "checkbox" });
    const steps = h("datalist", { id: "tape-steps" }, ...STEPS.map((value) => h("option", { value })));
    this.el = h("div", { class: "tape-tools" }, this.least, steps, this.pause, gear);
    const row = (name: string, part: HTMLElement): HTMLElement => h("label", {}, h("span", {}, name), part);
    this.more = h("div", { class: "tape-more", id: "tape-more", hidden: true }, row("Merge", this.merge), row("Large from", this.large), this.says, row("Tick on large", sound));
    gear.addEventListener("click", () => {
      show(this.more, this.more.hidden === true);
      gear.setAttribute("aria-expanded", String(!this.more.hidden));
    });
    this.pause.addEventListener("click", hold);
    this.recall();
    sound.checked = this.sound;
    sound.addEventListener("change", () => {
      this.sound = sound.checked;
      store("tape.sound", sound.checked ? "on" : "");
    });
    this.merge.addEventListener("change", () => this.chose("merge", this.merge.value));
    for (const [input, name] of [[this.least, "least"], [this.large, "large"]] as const) {
      input.addEventListener("change", () => this.chose(name, input.value));
      input.addEventListener("input", () => this.judge(input));
    }
  }

  paused(still: boolean): void {
    this.pause.setAttribute("aria-pressed", String(still));
  }

  render(now: number): void {
    if (this.more.hidden) return;
    const { large } = this.tape;
    const text = large ? "" : `now ${amountText(this.tape.threshold(now), this.base(), "not known yet")}: the 99th percentile of 5 minutes`;
    if (this.says.textContent !== text) this.says.textContent = text;
  }

  private recall(): void {
    const merge = stored("tape.merge");
    if (MERGES.some((m) => m === merge)) this.tape.merge = merge as Merge;
    this.merge.value = this.tape.merge;
    this.least.value = stored("tape.least") ?? "";
    this.large.value = stored("tape.large") ?? "";
    this.apply();
  }

  /** An amount of another base asset means nothing here: it is kept, and not used. */
  apply(): void {
    this.tape.least = parseAmount(this.least.value, this.base()) ?? null;
    this.tape.large = parseAmount(this.large.value, this.base()) ?? null;
  }

  private judge(input: HTMLInputElement): boolean {
    const good = parseAmount(input.value, this.base()) !== undefined;
    input.setAttribute("aria-invalid", String(!good));
    input.title = good ? "" : `Write 10k (of the quote asset) or 2 ${this.base()}`;
    return good;
  }

  private chose(name: "least" | "large" | "merge", text: string): void {
    if (name === "merge") this.tape.merge = text as Merge;
    else if (!this.judge(name === "least" ? this.least : this.large)) return;
    store(`tape.${name}`, text);
    this.apply();
    this.again();
  }
}

// A rule that is written or changed: checked as one types, its mistake shown at its place with the fix beside it.

import * as api from "../api/alerts.ts";
import type { Problem, RuleRow, Wish } from "../api/alerts.ts";
import type { ApiError } from "../api/types.ts";
import { marked } from "../state/alerts.ts";
import { h, mark, show } from "../ui/dom.ts";
import { RuleOptions } from "./ruleoptions.ts";

const CALM_MS = 180;

export class RuleForm {
  readonly el: HTMLFormElement;
  private readonly text = h("input", {
    type: "text", class: "rule-text", spellcheck: "false", autocomplete: "off", autocapitalize: "off", "aria-label": "New rule", "data-testid": "rule-text",
    "aria-describedby": "rule-says", placeholder: "binance:BTC-USDT mid crosses above 100000",
  });
  readonly options = new RuleOptions(() => this.changed());
  private readonly cancel = h("button", { type: "button", class: "small", hidden: true }, "Cancel");
  private readonly submit = h("button", { type: "submit", class: "primary", disabled: true }, "Add");
  private readonly place = h("code", { class: "rule-place", hidden: true, "data-testid": "rule-place" });
  private readonly says = h("p", { class: "rule-says", id: "rule-says", "data-testid": "rule-says", "aria-live": "polite" });
  private readonly added: () => void;
  private timer: number | undefined;
  private asking = new AbortController();
  private eager = false; // Enter came before the check had answered
  private adding = false;
  private editing: RuleRow | null = null;

  constructor(added: () => void) {
    this.added = added;
    const line = h("div", { class: "rule-line" }, this.text, this.options.severity, this.submit, this.cancel);
    this.el = h("form", { class: "rule-form", "aria-label": "Add a rule" }, line, this.place, this.says, this.options.el);
    mark(this.el, "tone", "none");
    this.text.addEventListener("input", () => this.changed());
    this.cancel.addEventListener("click", () => this.edit(null));
    this.el.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.add();
    });
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.edit(null);
      if (event.key === "Enter" && this.submit.disabled) this.addOnceChecked(event);
    });
  }

  /** A rule to be changed, with all its options; null: a new one. */
  edit(rule: RuleRow | null): void {
    this.editing = rule;
    this.options.set(rule);
    this.submit.textContent = rule ? "Save" : "Add";
    this.el.setAttribute("aria-label", rule ? `Change ${rule.name}` : "Add a rule");
    show(this.cancel, rule !== null);
    this.set(rule?.rule ?? "");
  }

  /** Something to begin with; the cursor stands behind it. */
  set(text: string): void {
    this.text.value = text;
    this.changed();
    this.text.focus();
    this.text.setSelectionRange(text.length, text.length);
  }

  example(instrument: string): void {
    if (instrument) this.text.placeholder = `${instrument} spread_bps > 5 for 10s`;
  }

  private changed(): void {
    window.clearTimeout(this.timer);
    this.asking.abort();
    this.eager = false;
    this.submit.disabled = true;
    if (this.text.value.trim() === "") this.say("none", "", null);
    else this.timer = window.setTimeout(() => void this.check(), CALM_MS);
  }

  private addOnceChecked(event: Event): void {
    event.preventDefault();
    if (this.adding || this.text.value.trim() === "") return;
    window.clearTimeout(this.timer);
    this.asking.abort();
    this.eager = true;
    void this.check();
  }

  private get wish(): Wish {
    return { rule: this.text.value.trim(), ...this.options.get() };
  }

  private async check(): Promise<void> {
    this.asking = new AbortController();
    const { wish } = this;
    const answer = await api.check(wish, this.asking.signal).catch(() => null);
    if (answer === null || wish.rule !== this.text.value.trim()) return;
    if ("error" in answer) this.refused(answer.error);
    else if (answer.ok.error) this.wrong(answer.ok.error);
    else {
      this.submit.disabled = false;
      if (this.eager) void this.add();
      else this.say("good", this.editing ? `${this.editing.name} can be saved, and begins anew: press Enter.` : "It can be added: press Enter.", null);
    }
  }

  private async add(): Promise<void> {
    if (this.submit.disabled) return;
    this.submit.disabled = this.adding = true;
    this.eager = false;
    const { wish } = this;
    const { editing } = this;
    const answer = editing ? await api.change(editing.name, wish) : await api.add(wish);
    this.adding = false;
    if ("error" in answer) {
      this.refused(answer.error);
      return;
    }
    this.edit(null);
    const name = editing?.name ?? (answer.ok as { name: string }).name;
    this.say("good", editing ? `${name} is changed.` : `Added as ${name}. It is watched from now on, and kept.`, null);
    this.added();
  }

  private refused(error: ApiError): void {
    this.say("bad", [error.message, error.hint].filter(Boolean).join(" · "), null);
  }

  private wrong(problem: Problem): void {
    this.say("bad", problem.hint ? `${problem.message} · ${problem.hint}` : problem.message, problem);
  }

  private say(tone: "none" | "good" | "bad", text: string, problem: Problem | null): void {
    mark(this.el, "tone", tone);
    this.says.textContent = text;
    this.text.setAttribute("aria-invalid", String(tone === "bad"));
    const source = this.options.value(problem?.option ?? "") ?? this.text.value.trim();
    show(this.place, problem !== null && problem.column !== null);
    if (problem) {
      const [before, wrong, after] = marked(source, problem);
      this.place.replaceChildren(before, h("mark", {}, wrong), after);
    }
  }
}

// A new rule: checked as one types, its mistake shown at its place with the fix beside it.

import * as api from "../api/alerts.ts";
import type { Problem, Severity, Wish } from "../api/alerts.ts";
import type { ApiError } from "../api/types.ts";
import { marked, SEVERITY_SIGNS } from "../state/alerts.ts";
import { h, mark, show } from "../ui/dom.ts";

const CALM_MS = 180;
const SEVERITIES: readonly Severity[] = ["info", "warning", "critical"];

export class RuleForm {
  readonly el: HTMLFormElement;
  private readonly text = h("input", {
    type: "text", class: "rule-text", spellcheck: "false", autocomplete: "off", autocapitalize: "off", "aria-label": "New rule", "data-testid": "rule-text",
    "aria-describedby": "rule-says", placeholder: "binance:BTC-USDT mid crosses above 100000",
  });
  private readonly severity = h(
    "select", { "aria-label": "Severity" }, ...SEVERITIES.map((s) => h("option", { value: s, selected: s === "warning" }, `${SEVERITY_SIGNS[s]} ${s}`)),
  );
  private readonly cooldown = h("input", { type: "text", class: "rule-cooldown", "aria-label": "Not again for, as in 5m", placeholder: "not again for…", title: "How long it is not raised again, as in 5m" });
  private readonly submit = h("button", { type: "submit", class: "primary", disabled: true }, "Add");
  private readonly place = h("code", { class: "rule-place", hidden: true, "data-testid": "rule-place" });
  private readonly says = h("p", { class: "rule-says", id: "rule-says", "data-testid": "rule-says", "aria-live": "polite" });
  private readonly added: () => void;
  private timer: number | undefined;
  private asking = new AbortController();
  private eager = false; // Enter came before the check had answered
  private adding = false;

  constructor(added: () => void) {
    this.added = added;
    const line = h("div", { class: "rule-line" }, this.text, this.severity, this.cooldown, this.submit);
    this.el = h("form", { class: "rule-form", "aria-label": "Add a rule" }, line, this.place, this.says);
    mark(this.el, "tone", "none");
    for (const input of [this.text, this.cooldown]) input.addEventListener("input", () => this.changed());
    this.el.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.add();
    });
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.set("");
      if (event.key === "Enter" && this.submit.disabled) this.addOnceChecked(event);
    });
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
    const rule = this.text.value.trim();
    const cooldown = this.cooldown.value.trim();
    return { rule, severity: this.severity.value as Severity, ...(cooldown ? { cooldown } : {}) };
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
      else this.say("good", "It can be added: press Enter.", null);
    }
  }

  private async add(): Promise<void> {
    if (this.submit.disabled) return;
    this.submit.disabled = this.adding = true;
    this.eager = false;
    const { wish } = this;
    const answer = await api.add(wish);
    this.adding = false;
    if ("error" in answer) {
      this.refused(answer.error);
      return;
    }
    this.text.value = this.cooldown.value = "";
    this.say("good", `Added as ${answer.ok.name}. It is watched from now on, and kept.`, null);
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
    const source = problem?.option === "cooldown" ? this.cooldown.value.trim() : this.text.value.trim();
    show(this.place, problem !== null && problem.column !== null);
    if (problem) {
      const [before, wrong, after] = marked(source, problem);
      this.place.replaceChildren(before, h("mark", {}, wrong), after);
    }
  }
}

// What a rule may have besides its text: how much it matters, when it may be raised again, what ends it, whom it tells.

import type { RuleRow, Severity, Wish } from "../api/alerts.ts";
import { SEVERITY_SIGNS } from "../state/alerts.ts";
import { h } from "../ui/dom.ts";

const SEVERITIES: readonly Severity[] = ["info", "warning", "critical"];
const TEXTS = [
  ["cooldown", "Not again for", "5m", "How long it is not raised again, as in 5m"],
  ["hysteresis", "Gives way by", "0.5%", "How far back the value must go before it ends: 50 in its unit, 0.5% or 25bps of the threshold"],
  ["until", "Ends when", "mid < 99k", "A condition that ends it, in place of the rule's contrary"],
  ["schedule", "Only at", "mon-fri 09:30-16:00 America/New_York", "When it is looked at; empty: always"],
] as const;
const SWITCHES = [
  ["once", "once only", "Raised once, then never again until it is muted and unmuted"],
  ["resolved", "tell its end", "Send a message also when it ends"],
  ["incomplete", "on incomplete data", "Raise it also on data that is known to be incomplete"],
] as const;

export class RuleOptions {
  readonly severity = h(
    "select", { "aria-label": "Severity" }, ...SEVERITIES.map((s) => h("option", { value: s, selected: s === "warning" }, `${SEVERITY_SIGNS[s]} ${s}`)),
  );
  readonly el: HTMLDetailsElement;
  private readonly texts = new Map<string, HTMLInputElement>();
  private readonly switches = new Map<string, HTMLInputElement>();
  private readonly told = h("span", { class: "rule-targets" });
  private targets = "";
  private chosen: readonly string[] = [];

  constructor(changed: () => void) {
    const boxes = TEXTS.map(([name, label, example, title]) => {
      const input = h("input", { type: "text", name, placeholder: example, title, "data-testid": `rule-${name}`, autocomplete: "off", spellcheck: "false" });
      input.addEventListener("input", changed);
      this.texts.set(name, input);
      return h("label", { title }, h("span", {}, label), input);
    });
    const ticks = SWITCHES.map(([name, label, title]) => {
      const input = h("input", { type: "checkbox", name });
      this.switches.set(name, input);
      return h("label", { class: "rule-switch", title }, input, ` ${label}`);
    });
    this.el = h("details", { class: "rule-options" }, h("summary", {}, "Options"), h("div", { class: "rule-grid" }, ...boxes), h("div", { class: "rule-switches" }, ...ticks, this.told));
  }

  /** The targets there are, to be ticked; none ticked: those of alerts.notify. */
  offer(targets: readonly string[]): void {
    const key = targets.join();
    if (key === this.targets) return;
    this.targets = key;
    this.told.replaceChildren(...targets.map((name) => {
      const tick = h("input", { type: "checkbox", "data-target": name });
      tick.checked = this.chosen.includes(name);
      return h("label", { class: "rule-switch", title: `Send it to ${name}; none ticked: to those of alerts.notify` }, tick, ` → ${name}`);
    }));
  }

  get(): Omit<Wish, "rule"> {
    const texts = [...this.texts].map(([name, input]) => [name, input.value.trim()] as const).filter(([, text]) => text);
    const ticks = [...this.switches].filter(([, input]) => input.checked).map(([name]) => [name, true] as const);
    const notify = [...this.told.querySelectorAll<HTMLInputElement>("input:checked")].map((tick) => tick.dataset["target"] ?? "");
    return { severity: this.severity.value as Severity, ...Object.fromEntries(texts), ...Object.fromEntries(ticks), ...(notify.length > 0 ? { notify } : {}) };
  }

  set(rule: RuleRow | null): void {
    this.severity.value = rule?.severity ?? "warning";
    for (const [name] of TEXTS) this.text(name, rule?.[name] ?? "");
    for (const [name, input] of this.switches) input.checked = Boolean(rule?.[name as "once"]);
    this.chosen = rule?.notify ?? [];
    for (const tick of this.told.querySelectorAll<HTMLInputElement>("input")) tick.checked = this.chosen.includes(tick.dataset["target"] ?? "");
    this.el.open = rule !== null;
  }

  value(option: string): string | undefined {
    return this.texts.get(option)?.value.trim();
  }

  private text(name: string, to: string): void {
    const input = this.texts.get(name);
    if (input) input.value = to;
  }
}

// Rules with their state, a new one checked as it is typed, and what was raised.

import * as api from "../api/alerts.ts";
import type { AlertEvent, RuleRow } from "../api/alerts.ts";
import { alertValue, inOrder, SEVERITY_SIGNS, severityOf, stateOf, stateWords } from "../state/alerts.ts";
import type { Session } from "../state/session.ts";
import { h, mark, panel, show, type Value, value } from "../ui/dom.ts";
import { age, clock, day, zoneAt } from "../ui/format.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";
import { store, stored } from "../ui/theme.ts";
import { RuleForm } from "./ruleform.ts";

const SHOWN = 60;
const UNWATCHED = "No rules are watched here: this is a recording, or alerts.on is false. Alerts of its tape stand below.";
const NONE = "No rules yet. Write one above; those of tapeline.toml ([alerts.rules]) stand here too.";

class RuleLine {
  readonly el: HTMLElement;
  private readonly state: Value = value("rule-state");
  private readonly facts: Value = value("rule-facts num value");
  private readonly mute = h("button", { type: "button", class: "small" });
  private rule: RuleRow;

  constructor(rule: RuleRow, act: (what: "mute" | "remove", rule: RuleRow) => void) {
    this.rule = rule;
    const severity = severityOf(rule.severity);
    const sign = h("span", { class: "severity", "data-severity": severity, title: severity }, SEVERITY_SIGNS[severity], h("span", { class: "sr" }, severity));
    const remove = h("button", { type: "button", class: "small", "aria-label": `Remove ${rule.name}` }, "Remove");
    if (rule.origin === "settings") {
      remove.disabled = true;
      remove.title = "It stands in the settings: take it out there, or mute it.";
    }
    this.mute.addEventListener("click", () => act("mute", this.rule));
    remove.addEventListener("click", () => act("remove", this.rule));
    this.el = h(
      "li", { class: "rule", "data-testid": `rule-${rule.name}`, "data-rule": rule.name },
      this.state.el, h("b", { class: "rule-name", title: rule.name }, sign, ` ${rule.name}`), h("span", { class: "rule-acts" }, this.mute, remove),
      h("code", { class: "rule-code", title: rule.rule }, rule.rule), this.facts.el,
    );
  }

  render(rule: RuleRow, now: number): void {
    this.rule = rule;
    const state = stateOf(rule, now);
    const words = stateWords(state);
    this.state.set(`${words.sign} ${words.text}`, state);
    this.state.el.title = words.meaning;
    mark(this.el, "state", state);
    mark(this.el, "severity", severityOf(rule.severity));
    const since = rule.since > 0 ? ` ${age((now - rule.since) / 1e6)}` : "";
    const often = rule.raised > 0 ? `raised ${rule.raised}×` : "";
    const at = rule.value === null ? "" : `last at ${alertValue(rule.value)}`;
    const ago = since && rule.raised > 0 ? (state === "raised" ? `for${since}` : `${since} ago`) : "";
    const whole = state === "warming" ? `whole in ${age(rule.warming)}` : "";
    this.facts.set([whole, often, at, ago].filter(Boolean).join(" · "), rule.value);
    const label = rule.muted ? "Unmute" : "Mute";
    if (this.mute.textContent !== label) this.mute.textContent = label;
    this.mute.setAttribute("aria-label", `${label} ${rule.name}`);
  }
}

export class AlertsPanel implements Panel {
  readonly topics: readonly Topic[] = ["alerts", "clock", "selection"];
  readonly el: HTMLElement;
  readonly form: RuleForm;
  private readonly session: Session;
  private readonly trouble = h("p", { class: "alerts-trouble", role: "alert", hidden: true, "data-testid": "alerts-trouble" });
  private readonly rules = h("ol", { class: "rules", "data-testid": "rules", "aria-label": "Rules" });
  private readonly past = h("ol", { class: "past", "data-testid": "alert-history", "aria-label": "Alerts that were raised" });
  private readonly none = h("p", { class: "empty" }, NONE);
  private readonly quiet = h("p", { class: "empty" }, "Nothing was raised yet.");
  private readonly lines = new Map<string, RuleLine>();
  private said = "";

  constructor(session: Session) {
    this.session = session;
    this.form = new RuleForm(() => void session.rules.load());
    const sound = h("input", { type: "checkbox", id: "alert-sound" });
    sound.checked = stored("sound") === "on";
    sound.addEventListener("change", () => store("sound", sound.checked ? "on" : "off"));
    const head = h("div", { class: "past-head" }, h("h4", {}, "Raised"), h("label", { for: "alert-sound" }, sound, " Sound"));
    const body = h("div", { class: "alerts-body" }, this.rules, this.none, head, this.past, this.quiet);
    this.el = panel("alerts", "Alerts", this.form.el, this.trouble, body);
  }

  visible(shown: boolean): void {
    this.session.rules.watched = shown;
    if (shown) void this.session.rules.load();
  }

  render(dirty?: ReadonlySet<Topic>): void {
    if (dirty?.has("zone")) this.said = "";
    const { now, rules: { alerts } } = this.session;
    this.form.example(this.session.view.id);
    this.trouble.textContent = alerts.trouble;
    show(this.trouble, alerts.trouble !== "");
    this.reconcile(alerts.rules);
    for (const rule of alerts.rules) this.lines.get(keyOf(rule))?.render(rule, now);
    const watched = this.session.status?.alerts != null;
    show(this.form.el, watched);
    const words = watched ? NONE : UNWATCHED;
    if (this.none.textContent !== words) this.none.textContent = words;
    show(this.none, alerts.rules.length === 0 && (alerts.loaded || !watched));
    const said = alerts.history.slice(0, SHOWN).map((a) => `${a.id} ${a.state} ${a.ts_event} ${JSON.stringify(a.deliveries ?? [])}`).join();
    if (said !== this.said) {
      this.said = said;
      this.past.replaceChildren(...alerts.history.slice(0, SHOWN).map(pastLine));
    }
    show(this.quiet, alerts.history.length === 0);
  }

  private reconcile(rules: readonly RuleRow[]): void {
    const wanted = new Set(rules.map(keyOf));
    for (const [key, line] of this.lines) {
      if (wanted.has(key)) continue;
      line.el.remove();
      this.lines.delete(key);
    }
    const held = this.rules.matches(":hover, :focus-within"); // nothing moves away from under the pointer
    const order = held ? rules : inOrder(rules, this.session.now);
    order.forEach((rule, at) => {
      let line = this.lines.get(keyOf(rule));
      if (!line) this.lines.set(keyOf(rule), (line = new RuleLine(rule, (what, which) => void this.act(what, which))));
      else if (held) return;
      if (this.rules.children[at] !== line.el) this.rules.insertBefore(line.el, this.rules.children[at] ?? null);
    });
  }

  private async act(what: "mute" | "remove", rule: RuleRow): Promise<void> {
    const answer = what === "mute" ? await api.mute(rule.name, !rule.muted) : await api.remove(rule.name);
    await this.session.rules.load();
    if ("error" in answer) this.session.rules.alerts.trouble = [answer.error.message, answer.error.hint].filter(Boolean).join(" · ");
    this.render();
  }
}

const keyOf = (rule: RuleRow): string => JSON.stringify([rule.name, rule.rule, rule.severity, rule.origin]);

function pastLine(alert: AlertEvent): HTMLElement {
  const severity = severityOf(alert.severity);
  const simulated = alert.flags.includes("SIMULATED") ? h("i", { class: "venue", "data-venue": "sim", title: "of the simulated market" }, "sim") : null;
  const sign = alert.state === "raised" ? SEVERITY_SIGNS[severity] : "✓";
  const sent = (alert.deliveries ?? []).map((d) => h("span", { class: "delivery", "data-status": d.status, title: d.error }, `${d.target} ${d.status}`));
  return h(
    "li", { class: "past-alert", "data-state": alert.state, "data-severity": severity, title: `${alert.text}\n${day(alert.ts_event)} ${zoneAt(alert.ts_event)}` },
    h("time", { class: "num" }, clock(alert.ts_event)), h("span", { class: "severity" }, `${sign} ${alert.state === "raised" ? severity : alert.state}`),
    h("b", {}, alert.rule), simulated, h("span", { class: "past-text" }, alert.text), ...sent,
  );
}

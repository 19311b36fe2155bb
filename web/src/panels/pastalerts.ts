// What was raised: newest first, by rule, severity and instrument, older ones page by page. Without a filter the newest come by themselves.

import * as api from "../api/alerts.ts";
import type { AlertEvent } from "../api/alerts.ts";
import { SEVERITY_SIGNS, severityOf } from "../state/alerts.ts";
import type { Session } from "../state/session.ts";
import { h, show } from "../ui/dom.ts";
import { clock, day, zoneAt } from "../ui/format.ts";

const PAGE = 60;
const MOST = 1200; // rows in the document

export class PastAlerts {
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly list = h("ol", { class: "past", "data-testid": "alert-history", "aria-label": "Alerts that were raised" });
  private readonly quiet = h("p", { class: "empty" }, "Nothing was raised yet.");
  private readonly older = h("button", { type: "button", class: "small past-older", hidden: true, "data-testid": "alerts-older" }, "Older");
  private readonly rule = h("select", { "aria-label": "Of rule", "data-testid": "past-rule" });
  private readonly severity = h("select", { "aria-label": "Of severity", "data-testid": "past-severity" }, ...["", "info", "warning", "critical"].map((s) => h("option", { value: s }, s || "any severity")));
  private readonly instrument = h("select", { "aria-label": "Of instrument", "data-testid": "past-instrument" });
  private pages: AlertEvent[] = []; // what was fetched: a filter's, or older than what the session knows
  private said = "";
  private options = "";
  private turn = 0;

  constructor(session: Session, ...switches: HTMLElement[]) {
    this.session = session;
    for (const select of [this.rule, this.severity, this.instrument]) select.addEventListener("change", () => void this.filter());
    this.older.addEventListener("click", () => void this.more());
    const head = h("div", { class: "past-head" }, h("h4", {}, "Raised"), this.rule, this.severity, this.instrument, h("span", { class: "past-switches" }, ...switches));
    this.el = h("section", { "aria-label": "Alerts that were raised" }, head, this.list, this.quiet, this.older);
  }

  private get filtered(): boolean {
    return Boolean(this.rule.value || this.severity.value || this.instrument.value);
  }

  render(): void {
    const { alerts } = this.session.rules;
    this.offer([...new Set([...alerts.rules.map((r) => r.name), ...alerts.history.map((a) => a.rule)])].sort(), [...this.session.market.rows.keys()]);
    const rows = this.filtered ? this.pages : [...alerts.history.slice(0, PAGE), ...this.pages];
    const said = rows.map((a) => `${a.id} ${a.state} ${a.ts_event} ${JSON.stringify(a.deliveries ?? [])}`).join() + clock(rows[0]?.ts_event);
    if (said !== this.said) {
      this.said = said;
      this.list.replaceChildren(...rows.map(pastLine));
    }
    show(this.quiet, rows.length === 0);
    if (!this.filtered && this.pages.length === 0) show(this.older, alerts.history.length >= PAGE);
  }

  private offer(rules: readonly string[], instruments: readonly string[]): void {
    const options = JSON.stringify([rules, instruments]);
    if (options === this.options) return;
    this.options = options;
    for (const [select, all, none] of [[this.rule, rules, "any rule"], [this.instrument, instruments, "any instrument"]] as const) {
      const chosen = select.value;
      select.replaceChildren(...["", ...all].map((name) => h("option", { value: name }, name || none)));
      select.value = all.includes(chosen) ? chosen : "";
    }
  }

  private async filter(): Promise<void> {
    this.pages = [];
    show(this.older, false);
    this.render();
    if (this.filtered) await this.more();
  }

  private async more(): Promise<void> {
    const turn = ++this.turn;
    const shown = this.filtered ? this.pages : [...this.session.rules.alerts.history.slice(0, PAGE), ...this.pages];
    const last = shown.at(-1);
    const answer = await api.history({
      limit: PAGE, rule: this.rule.value, severity: this.severity.value, instrument: this.instrument.value, ...(last ? { to: last.ts_event } : {}),
    });
    if (turn !== this.turn) return; // another filter was chosen meanwhile
    if ("error" in answer) {
      this.session.rules.alerts.trouble = [answer.error.message, answer.error.hint].filter(Boolean).join(" · ");
      return;
    }
    this.pages = [...this.pages, ...answer.ok.alerts].slice(0, MOST);
    show(this.older, answer.ok.more && this.pages.length < MOST);
    this.render();
  }
}

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

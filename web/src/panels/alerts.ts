// Rules with their state, a new one checked as it is typed, and what was raised.

import * as api from "../api/alerts.ts";
import type { RuleRow } from "../api/alerts.ts";
import type { ApiError } from "../api/types.ts";
import { alertValue, inOrder, SEVERITY_SIGNS, severityOf, stateOf, stateWords } from "../state/alerts.ts";
import type { Session } from "../state/session.ts";
import { h, mark, panel, show, type Value, value } from "../ui/dom.ts";
import { age } from "../ui/format.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";
import { store, stored } from "../ui/theme.ts";
import { PastAlerts } from "./pastalerts.ts";
import { RuleForm } from "./ruleform.ts";

const UNDO_MS = 12_000;
const UNWATCHED = "No rules are watched here: this is a recording, or alerts.on is false. Alerts of its tape stand below.";
const NONE = "No rules yet. Write one above; those of tapeline.toml ([alerts.rules]) stand here too.";

type Act = "mute" | "remove" | "edit";

class RuleLine {
  readonly el: HTMLElement;
  private readonly state: Value = value("rule-state");
  private readonly facts: Value = value("rule-facts num value");
  private readonly mute = h("button", { type: "button", class: "small" });
  private rule: RuleRow;

  constructor(rule: RuleRow, act: (what: Act, rule: RuleRow) => void) {
    this.rule = rule;
    const severity = severityOf(rule.severity);
    const sign = h("span", { class: "severity", "data-severity": severity, title: severity }, SEVERITY_SIGNS[severity], h("span", { class: "sr" }, severity));
    const remove = h("button", { type: "button", class: "small", "aria-label": `Remove ${rule.name}` }, "Remove");
    const edit = h("button", { type: "button", class: "small", "aria-label": `Edit ${rule.name}` }, "Edit");
    if (rule.origin === "settings") {
      remove.disabled = edit.disabled = true;
      remove.title = edit.title = "It stands in the settings: change it or take it out there, or mute it.";
    }
    edit.addEventListener("click", () => act("edit", this.rule));
    this.mute.addEventListener("click", () => act("mute", this.rule));
    remove.addEventListener("click", () => act("remove", this.rule));
    this.el = h(
      "li", { class: "rule", "data-testid": `rule-${rule.name}`, "data-rule": rule.name },
      this.state.el, h("b", { class: "rule-name", title: rule.name }, sign, ` ${rule.name}`), h("span", { class: "rule-acts" }, edit, this.mute, remove),
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
  private readonly none = h("p", { class: "empty" }, NONE);
  private readonly undo = h("p", { class: "rule-undo", role: "status", hidden: true, "data-testid": "rule-undo" });
  private readonly past: PastAlerts;
  private readonly lines = new Map<string, RuleLine>();
  private undoing: number | undefined;

  constructor(session: Session) {
    this.session = session;
    this.form = new RuleForm(() => void session.rules.load());
    const sound = h("input", { type: "checkbox", id: "alert-sound" });
    sound.checked = stored("sound") === "on";
    sound.addEventListener("change", () => store("sound", sound.checked ? "on" : "off"));
    const notes = notifications();
    this.past = new PastAlerts(session, h("label", { for: "alert-sound" }, sound, " Sound"), notes);
    const body = h("div", { class: "alerts-body" }, this.undo, this.rules, this.none, this.past.el);
    this.el = panel("alerts", "Alerts", this.form.el, this.trouble, body);
  }

  visible(shown: boolean): void {
    this.session.rules.watched = shown;
    if (shown) void this.session.rules.load();
  }

  render(): void {
    const { now, rules: { alerts } } = this.session;
    this.form.example(this.session.view.id);
    this.form.options.offer(alerts.targets);
    this.trouble.textContent = alerts.trouble;
    show(this.trouble, alerts.trouble !== "");
    this.reconcile(alerts.rules);
    for (const rule of alerts.rules) this.lines.get(keyOf(rule))?.render(rule, now);
    const watched = this.session.status?.alerts != null;
    show(this.form.el, watched);
    const words = watched ? NONE : UNWATCHED;
    if (this.none.textContent !== words) this.none.textContent = words;
    show(this.none, alerts.rules.length === 0 && (alerts.loaded || !watched));
    this.past.render();
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

  private async act(what: Act, rule: RuleRow): Promise<void> {
    if (what === "edit") {
      this.form.edit(rule);
      return;
    }
    const answer = what === "mute" ? await api.mute(rule.name, !rule.muted) : await api.remove(rule.name);
    if (what === "remove" && "ok" in answer) this.offerUndo(rule);
    await this.settled(answer);
  }

  private async settled(answer: { readonly ok: unknown } | { readonly error: ApiError }): Promise<void> {
    await this.session.rules.load();
    if ("error" in answer) this.session.rules.alerts.trouble = [answer.error.message, answer.error.hint].filter(Boolean).join(" · ");
    this.render();
  }

  /** For a while, what was removed can be had back, with all its options. What it knew is gone: it begins anew. */
  private offerUndo(rule: RuleRow): void {
    window.clearTimeout(this.undoing);
    const again = h("button", { type: "button", class: "small" }, "Undo");
    again.addEventListener("click", () => {
      show(this.undo, false);
      void api.add(wishOf(rule)).then(async (answer) => {
        if ("ok" in answer && rule.muted) await api.mute(rule.name, true);
        await this.settled(answer);
      });
    });
    this.undo.replaceChildren(`${rule.name} is removed. `, again);
    show(this.undo, true);
    this.undoing = window.setTimeout(() => show(this.undo, false), UNDO_MS);
  }
}

function wishOf(rule: RuleRow): api.Wish {
  const { name, rule: text, severity, cooldown = "", hysteresis = "", until = "", schedule = "", once = false, incomplete = false, resolved = false, notify = [] } = rule;
  return { name, rule: text, severity, cooldown, hysteresis, until, schedule, once, incomplete, resolved, notify };
}

/** Notices of the browser itself, for when the page is not in front. Asked for by a click only, as browsers want it. */
function notifications(): HTMLElement {
  const box = h("input", { type: "checkbox", id: "alert-notes" });
  const label = h("label", { for: "alert-notes", title: "Notices of the browser while this page is not in front" }, box, " Notices");
  if (!("Notification" in window)) box.disabled = true;
  else box.checked = stored("notices") === "on" && Notification.permission === "granted";
  box.addEventListener("change", () => {
    const keep = (on: boolean): void => {
      box.checked = on;
      store("notices", on ? "on" : "off");
    };
    if (!box.checked) keep(false);
    else void Notification.requestPermission().then((answer) => keep(answer === "granted"));
  });
  return label;
}

const keyOf = (rule: RuleRow): string => JSON.stringify([rule.name, rule.rule, rule.severity, rule.origin]);

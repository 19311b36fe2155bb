// Puts the page together: one session, its panels, the keys.

import "./styles/tokens.css";
import "./styles/layout.css";
import "./styles/panels.css";
import "./styles/metrics.css";
import "./styles/alerts.css";
import { socketUrl } from "./api/base.ts";
import { INTERVALS } from "./api/types.ts";
import type { AlertsPanel } from "./panels/alerts.ts";
import type { Chart } from "./panels/chart.ts";
import { HealthBar } from "./panels/health.ts";
import { KINDS } from "./panels/kinds.ts";
import { chime, Toasts } from "./panels/toasts.ts";
import { severityOf } from "./state/alerts.ts";
import { Session } from "./state/session.ts";
import { h, icon } from "./ui/dom.ts";
import { Help } from "./ui/help.ts";
import { listen } from "./ui/keyboard.ts";
import { Scheduler } from "./ui/scheduler.ts";
import { type Tabs, tabs } from "./ui/tabs.ts";
import { stored, Theme } from "./ui/theme.ts";

const scheduler = new Scheduler();
const session = new Session(socketUrl(), scheduler);
const theme = new Theme(() => scheduler.touch("theme", "quotes"));
const help = new Help();

function button(label: string, face: Node | string, action: () => void): HTMLButtonElement {
  const el = h("button", { type: "button", class: "icon", "aria-label": label, title: label }, face);
  el.addEventListener("click", action);
  return el;
}

/** Where a panel stands until layouts can be chosen: what is not named here is a tab of the dock. */
const FIXED = ["cards", "watch", "chart", "ladder", "tape", "events", "pipeline"];

function build(): Chart {
  const main = h("main", { class: "layout", "data-tab": "chart", "data-low": "events", "data-dock": "metrics" });
  const actions = h(
    "div", { class: "actions" },
    button("Dark or light (t)", icon("M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18"), () => theme.toggle()),
    button("Keys and signs (?)", "?", () => help.toggle()),
  );
  const open = (id: string): void => {
    dock.pick(id);
    bottom.pick(id);
  };
  const writeRule = (rule: string): void => {
    open("alerts");
    (shown.get("alerts") as AlertsPanel).form.set(rule);
  };
  const shown = new Map(KINDS.map((kind) => [kind.id, kind.make(session, { open, writeRule })]));
  const health = new HealthBar(session, actions);
  for (const panel of [health, ...shown.values()]) scheduler.add(panel);
  const low = tabs("low", [{ id: "events", label: "Events" }, { id: "pipeline", label: "Pipeline" }], "events", (id) => {
    main.dataset["low"] = id;
    scheduler.touch("status");
  });
  const docked = KINDS.filter((kind) => !FIXED.includes(kind.id));
  const dock = tabs("dock", docked.map(({ id, title }) => ({ id, label: title })), "metrics", (id) => {
    for (const kind of docked) shown.get(kind.id)?.el.classList.toggle("undocked", kind.id !== id);
    for (const kind of docked) shown.get(kind.id)?.visible?.(kind.id === id);
    main.dataset["dock"] = id;
    scheduler.touch("metrics", "alerts");
  });
  const at = (id: string): HTMLElement => shown.get(id)?.el ?? h("div");
  const side = h("div", { class: "side" }, at("watch"), low.el, at("events"), at("pipeline"));
  main.append(at("cards"), side, at("chart"), h("div", { class: "dock" }, dock.el, ...docked.map((k) => at(k.id))), at("ladder"), at("tape"));
  const bottom = narrow(main);
  const toasts = new Toasts(() => open("alerts"));
  session.rules.onAlert = (alert) => {
    toasts.show(alert);
    if (stored("sound") === "on") chime(severityOf(alert.severity));
  };
  health.onAlerts = () => open("alerts");
  document.getElementById("app")?.append(health.el, health.strip, main, bottom.el, help.el, toasts.el);
  return shown.get("chart") as Chart;
}

function narrow(main: HTMLElement): Tabs {
  const list = [
    { id: "watch", label: "Markets" }, { id: "chart", label: "Chart" }, { id: "ladder", label: "Book" },
    { id: "tape", label: "Trades" }, { id: "metrics", label: "Metrics" }, { id: "alerts", label: "Alerts" }, { id: "events", label: "Events" },
  ];
  return tabs("main", list, "chart", (id) => {
    main.dataset["tab"] = id;
    scheduler.touch("status", "quotes", "trades", "book", "metrics", "alerts");
  });
}

function keys(chart: Chart): void {
  const byNumber = INTERVALS.map((interval, i) => [String(i + 1), () => session.setInterval(interval)] as const);
  listen(
    {
      ArrowUp: () => session.step(-1),
      ArrowDown: () => session.step(1),
      h: () => chart.toggleSmooth(),
      p: () => chart.toggleProfile(),
      t: () => theme.toggle(),
      c: () => theme.nextPalette(),
      "?": () => help.toggle(),
      ...Object.fromEntries(byNumber),
    },
    () => help.el.open,
  );
}

keys(build());
session.start();

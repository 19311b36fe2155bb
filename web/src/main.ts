// Puts the page together: one session, its panels, the keys.

import "./styles/tokens.css";
import "./styles/layout.css";
import "./styles/panels.css";
import "./styles/metrics.css";
import "./styles/alerts.css";
import { INTERVALS } from "./api/types.ts";
import { AlertsPanel } from "./panels/alerts.ts";
import { Cards } from "./panels/cards.ts";
import { Chart } from "./panels/chart.ts";
import { Events, Pipeline } from "./panels/events.ts";
import { HealthBar } from "./panels/health.ts";
import { Ladder } from "./panels/ladder.ts";
import { MetricsPanel } from "./panels/metrics.ts";
import { TradeTape } from "./panels/tape.ts";
import { chime, Toasts } from "./panels/toasts.ts";
import { Watchlist } from "./panels/watchlist.ts";
import { severityOf } from "./state/alerts.ts";
import { Session } from "./state/session.ts";
import { h, icon } from "./ui/dom.ts";
import { Help } from "./ui/help.ts";
import { listen } from "./ui/keyboard.ts";
import { Scheduler } from "./ui/scheduler.ts";
import { type Tabs, tabs } from "./ui/tabs.ts";
import { stored, Theme } from "./ui/theme.ts";

const scheduler = new Scheduler();
const session = new Session(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/ws`, scheduler);
const theme = new Theme(() => scheduler.touch("theme", "quotes"));
const help = new Help();

function button(label: string, face: Node | string, action: () => void): HTMLButtonElement {
  const el = h("button", { type: "button", class: "icon", "aria-label": label, title: label }, face);
  el.addEventListener("click", action);
  return el;
}

const heading = (text: string): HTMLElement => h("h3", { class: "panel-title" }, text);

function build(): Chart {
  const main = h("main", { class: "layout", "data-tab": "chart", "data-low": "events", "data-dock": "metrics" });
  const actions = h(
    "div", { class: "actions" },
    button("Dark or light (t)", icon("M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18"), () => theme.toggle()),
    button("Keys and signs (?)", "?", () => help.toggle()),
  );
  const low = tabs("low", [{ id: "events", label: "Events" }, { id: "pipeline", label: "Pipeline" }], "events", (id) => {
    main.dataset["low"] = id;
    scheduler.touch("status");
  });
  const dock = tabs("dock", [{ id: "metrics", label: "Metrics" }, { id: "alerts", label: "Alerts" }], "metrics", (id) => {
    main.dataset["dock"] = id;
    scheduler.touch("metrics", "alerts");
  });
  const health = new HealthBar(session, actions);
  const watch = new Watchlist(session, heading("Markets"));
  const panels = [
    new Cards(session), new Chart(session), new Ladder(session, heading("Order book")), new TradeTape(session, heading("Trades")),
    new Events(session, h("span", { class: "sr" }, "Events")), new Pipeline(session, h("span", { class: "sr" }, "Pipeline")),
    new AlertsPanel(session), new MetricsPanel(session, (rule) => write(rule)),
  ] as const;
  for (const panel of [health, watch, ...panels]) scheduler.add(panel);
  const [cards, chart, ladder, tape, events, pipeline, alerts, metrics] = panels;
  const side = h("div", { class: "side" }, watch.el, low.el, events.el, pipeline.el);
  main.append(cards.el, side, chart.el, h("div", { class: "dock" }, dock.el, metrics.el, alerts.el), ladder.el, tape.el);
  const bottom = narrow(main);
  const openAlerts = (): void => {
    dock.pick("alerts");
    bottom.pick("alerts");
  };
  const write = (rule: string): void => {
    openAlerts();
    alerts.form.set(rule);
  };
  const toasts = new Toasts(openAlerts);
  session.onAlert = (alert) => {
    toasts.show(alert);
    if (stored("sound") === "on") chime(severityOf(alert.severity));
  };
  health.onAlerts = openAlerts;
  document.getElementById("app")?.append(health.el, health.strip, main, bottom.el, help.el, toasts.el);
  return chart;
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

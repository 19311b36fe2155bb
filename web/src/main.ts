// Puts the page together: one session, its panels in their workspace, the keys.

import "./styles/tokens.css";
import "./styles/layout.css";
import "./styles/workspace.css";
import "./styles/panels.css";
import "./styles/metrics.css";
import "./styles/alerts.css";
import { socketUrl } from "./api/base.ts";
import { INTERVALS } from "./api/types.ts";
import type { AlertsPanel } from "./panels/alerts.ts";
import type { Chart } from "./panels/chart.ts";
import { HealthBar } from "./panels/health.ts";
import { KINDS, type Page } from "./panels/kinds.ts";
import { chime, Toasts } from "./panels/toasts.ts";
import { severityOf } from "./state/alerts.ts";
import { Arrangement } from "./state/arrangement.ts";
import { PRESETS } from "./state/presets.ts";
import { Session } from "./state/session.ts";
import { h, icon } from "./ui/dom.ts";
import { Help } from "./ui/help.ts";
import { listen } from "./ui/keyboard.ts";
import { type Entry, openMenu } from "./ui/menu.ts";
import { Scheduler } from "./ui/scheduler.ts";
import { store, stored, Theme } from "./ui/theme.ts";
import { Bottom } from "./workspace/bottom.ts";
import { Workspace } from "./workspace/workspace.ts";

const scheduler = new Scheduler();
const session = new Session(socketUrl(), scheduler);
const theme = new Theme(() => scheduler.touch("theme", "quotes"));
const help = new Help();
const ids = KINDS.map((kind) => kind.id);
const arrangement = new Arrangement(ids, { get: stored, set: store });
arrangement.recall(innerWidth);

const page: Page = {
  open: (id) => workspace.open(id),
  writeRule: (rule) => {
    workspace.open("alerts");
    (workspace.panel("alerts") as AlertsPanel).form.set(rule);
  },
};
const workspace = new Workspace({ session, scheduler, kinds: KINDS, page, arrangement });
const bottom = new Bottom(workspace, ids);
workspace.onNarrow = () => bottom.draw();

function button(label: string, face: Node | string, action: (el: HTMLElement) => void): HTMLButtonElement {
  const el = h("button", { type: "button", class: "icon", "aria-label": label, title: label }, face);
  el.addEventListener("click", () => action(el));
  return el;
}

function layouts(): Entry[] {
  return [
    { heading: "Layouts" },
    ...PRESETS.map((preset) => ({
      label: preset.title, hint: preset.what, checked: arrangement.preset === preset, run: () => workspace.arrange(() => arrangement.choose(preset)),
    })),
  ];
}

const layoutButton = button("Layout", icon("M4 5h16v14H4zM10 5v14M10 13h10"), (el) => openMenu(el, "Layout", layouts()));
layoutButton.setAttribute("aria-haspopup", "menu");
const actions = h(
  "div", { class: "actions" },
  layoutButton,
  button("Dark or light (t)", icon("M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18"), () => theme.toggle()),
  button("Keys and signs (?)", "?", () => help.toggle()),
);
const health = new HealthBar(session, actions);
scheduler.add(health);
const toasts = new Toasts(() => page.open("alerts"));
session.rules.onAlert = (alert) => {
  toasts.show(alert);
  if (stored("sound") === "on") chime(severityOf(alert.severity));
};
health.onAlerts = () => page.open("alerts");
document.getElementById("app")?.append(health.el, health.strip, workspace.el, bottom.el, help.el, toasts.el);

const chart = (): Chart => workspace.panel("chart") as Chart;
listen(
  {
    ArrowUp: () => session.step(-1),
    ArrowDown: () => session.step(1),
    h: () => chart().toggleSmooth(),
    p: () => chart().toggleProfile(),
    t: () => theme.toggle(),
    c: () => theme.nextPalette(),
    "?": () => help.toggle(),
    ...Object.fromEntries(INTERVALS.map((interval, i) => [String(i + 1), () => session.setInterval(interval)])),
  },
  () => help.el.open,
);
session.start();

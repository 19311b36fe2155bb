// Puts the page together: one session, its panels in their workspace, what is above and below them, the keys.

import "./styles/tokens.css";
import "./styles/layout.css";
import "./styles/workspace.css";
import "./styles/dialogs.css";
import "./styles/panels.css";
import "./styles/metrics.css";
import "./styles/alerts.css";
import { socketUrl } from "./api/base.ts";
import { INTERVALS } from "./api/types.ts";
import { commandsOf } from "./commands.ts";
import type { AlertsPanel } from "./panels/alerts.ts";
import type { Chart } from "./panels/chart.ts";
import { HealthBar } from "./panels/health.ts";
import { KINDS, type Page } from "./panels/kinds.ts";
import { Recordings } from "./panels/recordings.ts";
import { ReplayBar } from "./panels/replay.ts";
import { chime, notice, Toasts } from "./panels/toasts.ts";
import { severityOf } from "./state/alerts.ts";
import { Arrangement } from "./state/arrangement.ts";
import { Replay } from "./state/replay.ts";
import { Session } from "./state/session.ts";
import { Settings } from "./state/settings.ts";
import { h, icon } from "./ui/dom.ts";
import { Help } from "./ui/help.ts";
import { type Actions, listen } from "./ui/keyboard.ts";
import { Palette } from "./ui/palette.ts";
import { Scheduler } from "./ui/scheduler.ts";
import { SettingsDialog } from "./ui/settings.ts";
import { Look, store, stored } from "./ui/theme.ts";
import { toggleDialog } from "./ui/dialog.ts";
import { keepTitle } from "./ui/title.ts";
import { Zone } from "./ui/zone.ts";
import { Bottom } from "./workspace/bottom.ts";
import { Layouts } from "./workspace/layouts.ts";
import { Workspace } from "./workspace/workspace.ts";

const memory = { get: stored, set: store };
const scheduler = new Scheduler();
const session = new Session(socketUrl(), scheduler);
const settings = new Settings(memory, () => {
  look.apply();
  zone.apply();
  dialog.draw();
});
const look = new Look(settings, () => scheduler.touch("theme", "quotes"));
const zone = new Zone(session, settings);
const dialog = new SettingsDialog(settings, () => chime("warning", settings.volume));
const help = new Help();
const arrangement = new Arrangement(KINDS.map((kind) => kind.id), memory);
arrangement.recall(innerWidth);

const page: Page = {
  open: (id) => workspace.open(id),
  writeRule: (rule) => {
    workspace.open("alerts");
    (workspace.panel("alerts") as AlertsPanel).form.set(rule);
  },
};
const workspace = new Workspace({ session, scheduler, kinds: KINDS, page, arrangement });
const bottom = new Bottom(workspace, KINDS.map((kind) => kind.id));
workspace.onNarrow = () => bottom.draw();
const layouts = new Layouts(workspace, session);
const replay = new Replay(session);
const recordings = new Recordings(session);
const replayBar = new ReplayBar(session, replay, () => recordings.open());
const chart = (): Chart => workspace.panel("chart") as Chart;

const actions: Actions = {
  search: () => palette.toggle(),
  instrument: (at) => session.step(at === 0 ? -1 : 1),
  interval: (at) => session.setInterval(INTERVALS[at] ?? "1m"),
  smooth: () => chart().toggleSmooth(),
  profile: () => chart().toggleProfile(),
  play: () => replay.toggle(),
  step: () => replay.step(),
  recordings: () => recordings.open(),
  full: () => workspace.maximise(workspace.full ?? workspace.focused ?? "chart"),
  pane: (_, back) => workspace.cycle(back ? -1 : 1),
  layouts: () => layouts.menu(layoutButton),
  theme: () => look.toggle(),
  palette: () => settings.next("palette"),
  zone: () => settings.next("zone"),
  settings: () => toggleDialog(dialog.el),
  help: () => help.toggle(),
};
const palette = new Palette(commandsOf({ session, workspace, layouts, settings, actions, panels: KINDS.map((kind) => kind.id) }));

function button(label: string, path: string, action: () => void): HTMLButtonElement {
  const el = h("button", { type: "button", class: "icon", "aria-label": label, title: label }, icon(path));
  el.addEventListener("click", action);
  return el;
}

const layoutButton = button("Layout (l)", "M4 5h16v14H4zM10 5v14M10 13h10", () => layouts.menu(layoutButton));
layoutButton.classList.add("wide-only");
layoutButton.setAttribute("aria-haspopup", "menu");
const themeButton = button("Dark or light (t)", "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18", () => look.toggle());
themeButton.classList.add("wide-only");
const buttons = h(
  "div", { class: "actions" },
  button("Search (/)", "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13M15.5 15.5L21 21", () => palette.toggle()),
  button("Recordings (r)", "M12 4a8 8 0 1 1-7.5 5.2M4 4v5h5M12 8v4.5l3 2", () => recordings.open()),
  layoutButton,
  themeButton,
  button("Settings (,)", "M4 7h9M19 7h1M16 4.5v5M4 17h1M11 17h9M8 14.5v5", () => toggleDialog(dialog.el)),
  button("Keys and signs (?)", "M9 9a3 3 0 1 1 4.2 2.7c-.9.4-1.2 1-1.2 2.1M12 17.5v.5", () => help.toggle()),
);
const health = new HealthBar(session, buttons);
for (const part of [zone, health, replayBar, layouts]) scheduler.add(part);
const toasts = new Toasts(() => page.open("alerts"));
session.rules.onAlert = (alert) => {
  toasts.show(alert);
  notice(alert);
  if (settings.get("sound") === "on") chime(severityOf(alert.severity), settings.volume);
};
health.onAlerts = () => page.open("alerts");
document.getElementById("app")?.append(health.el, health.strip, replayBar.el, workspace.el, bottom.el, help.el, dialog.el, palette.el, layouts.el, recordings.el, toasts.el);

listen(actions, () => replay.state !== null);
keepTitle(session);
session.start();

// What the command palette finds: everything that has a name.

import { openRecording, recordings } from "./api/replay.ts";
import { INTERVALS } from "./api/types.ts";
import type { Command } from "./state/commands.ts";
import { hintOf, keysNow } from "./state/keys.ts";
import type { Session } from "./state/session.ts";
import { SETTINGS, type Settings } from "./state/settings.ts";
import { bytes, clock, day, fixed, symbolOf, venueOf, zoneAt } from "./ui/format.ts";
import type { Actions } from "./ui/keyboard.ts";
import { notice } from "./ui/notice.ts";
import type { Layouts } from "./workspace/layouts.ts";
import type { Workspace } from "./workspace/workspace.ts";

const MOST_TAPES = 50;

export interface Named {
  readonly session: Session;
  readonly workspace: Workspace;
  readonly layouts: Layouts;
  readonly settings: Settings;
  readonly actions: Actions;
  readonly panels: readonly string[];
}

export const commandsOf = (named: Named) => (): Promise<readonly Command[]>[] => [
  Promise.resolve([...instruments(named), ...panels(named), ...intervals(named), ...layoutCommands(named), ...choices(named), ...acts(named)]),
  tapes(),
];

const instruments = ({ session }: Named): Command[] =>
  [...session.market.rows.values()].map((row) => ({
    group: "Instruments", title: symbolOf(row.id), detail: `${venueOf(row.id)}${row.price === null || session.health.dead ? "" : ` · ${fixed(row.price, row.priceDecimals)}`}`,
    run: () => session.select(row.id),
  }));

const panels = ({ workspace, panels: ids }: Named): Command[] =>
  ids.map((id) => ({ group: "Panels", title: workspace.title(id), detail: workspace.isSeen(id) ? "shown" : "", run: () => workspace.open(id, true) }));

const intervals = ({ session }: Named): Command[] =>
  [...INTERVALS, ...(session.status?.bars ?? [])].map((interval, i) => ({
    group: "Intervals", title: interval, detail: interval === session.view.interval ? "chosen" : "", hint: i < INTERVALS.length ? hintOf("interval", i) : "",
    run: () => session.setInterval(interval),
  }));

const layoutCommands = ({ layouts }: Named): Command[] => [
  ...layouts.choices().map(({ label, hint = "", run }) => ({ group: "Layouts", title: label, detail: hint, run })),
  ...layouts.acts().map(({ label, run }) => ({ group: "Layouts", title: label, run })),
];

const choices = ({ settings }: Named): Command[] =>
  SETTINGS.flatMap(({ key, label, options }) =>
    options.map(([value, text]) => ({ group: "Settings", title: `${label}: ${text}`, detail: settings.get(key) === value ? "chosen" : "", run: () => settings.set(key, value) })),
  );

const NOT_HERE = new Set(["search", "instrument", "interval", ""]);

const acts = ({ actions, session }: Named): Command[] =>
  keysNow(session.status?.replay !== undefined).filter(({ action }) => !NOT_HERE.has(action)).map(({ what, action }) => {
    const [, title = what, detail = ""] = /^([^:;,]+)[:;,]?\s*(.*)$/.exec(what) ?? [];
    return { group: "Actions", title: title.charAt(0).toUpperCase() + title.slice(1), detail, hint: hintOf(action), run: () => actions[action]?.(0, false) };
  });

/** None where the server cannot be asked: the rest of the palette works. */
async function tapes(): Promise<Command[]> {
  const found = await recordings();
  if (typeof found === "string") return [];
  return found.slice(0, MOST_TAPES).map(({ session, first, bytes: size, live }) => ({
    group: "Recordings", title: `${day(first)} ${clock(first)} ${zoneAt(first)}`, detail: `${bytes(size)}${live ? " · recording now" : ""}`, run: () => void play(session),
  }));
}

async function play(session: string): Promise<void> {
  const answer = await openRecording(session);
  if (typeof answer === "string") notice(answer);
  else location.assign(answer.path);
}

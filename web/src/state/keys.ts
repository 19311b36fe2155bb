// The keys, once: what listens, the help sheet and the hints of the command palette are made from this table.

export interface Key {
  /** What the browser calls them; the action is told which one of them it was. Empty: a key of a part of the page, which listens itself. */
  readonly keys: readonly string[];
  readonly shown: string;
  readonly what: string;
  readonly action: string;
  /** Of a recording that is played: live it means nothing. */
  readonly replay?: true;
}

export const KEYS: readonly Key[] = [
  { keys: ["/"], shown: "/   Ctrl K", what: "search everything: instruments, panels, layouts, settings, recordings", action: "search" },
  { keys: ["ArrowUp", "ArrowDown"], shown: "↑ ↓", what: "previous, next instrument", action: "instrument" },
  { keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], shown: "1 … 9", what: "interval: 1s 5s 15s 1m 5m 15m 1h 4h 1d", action: "interval" },
  { keys: ["h"], shown: "h", what: "Heikin-Ashi candles, and back", action: "smooth" },
  { keys: ["p"], shown: "p", what: "volume by price: the dashed line is the point of control, the stronger bars hold 70 % of the volume", action: "profile" },
  { keys: [" "], shown: "Space", what: "play or pause a recording", action: "play", replay: true },
  { keys: ["."], shown: ".", what: "step a paused recording by a second", action: "step", replay: true },
  { keys: ["r"], shown: "r", what: "recordings: open one to play it back", action: "recordings" },
  { keys: ["f"], shown: "f", what: "the panel that has the focus fills the page, and back; a double click on its strip as well", action: "full" },
  { keys: ["F6"], shown: "F6", what: "to the next panel; with Shift to the one before", action: "pane" },
  { keys: [], shown: "← →   Home", what: "on a tab: the tabs beside it; on a border: moves it, with Shift further", action: "" },
  { keys: [], shown: "Alt ← ↑ → ↓", what: "on a tab: moves the panel", action: "" },
  { keys: [], shown: "Delete", what: "on a tab: closes the panel", action: "" },
  { keys: ["l"], shown: "l", what: "layouts", action: "layouts" },
  { keys: ["t"], shown: "t", what: "dark or light", action: "theme" },
  { keys: ["c"], shown: "c", what: "colours of up and down: classic, colour-blind, red-up", action: "palette" },
  { keys: ["z"], shown: "z", what: "times: UTC, local, the exchange's", action: "zone" },
  { keys: [","], shown: ",", what: "settings", action: "settings" },
  { keys: ["?"], shown: "?", what: "this sheet", action: "help" },
];

/** Those that mean something now. */
export const keysNow = (replay: boolean): readonly Key[] => KEYS.filter((row) => replay || !row.replay);

/** A key's action and its place in the row of the table. */
export function actionOf(key: string, replay: boolean): { readonly action: string; readonly at: number } | null {
  for (const row of keysNow(replay)) if (row.keys.includes(key)) return { action: row.action, at: row.keys.indexOf(key) };
  return null;
}

export const hintOf = (action: string, at = 0): string => {
  const key = KEYS.find((row) => row.action === action)?.keys[at] ?? "";
  return { ArrowUp: "↑", ArrowDown: "↓", " ": "Space" }[key] ?? key;
};

// The keys of each panel, once: the panel acts by its rows, the help sheet shows them, its label says them to a screen reader. They work
// while the panel has the focus.

export interface PanelKey<A extends string = string> {
  /** What the browser calls a key, with "Shift " before it where Shift is held → what the panel does. */
  readonly keys: Readonly<Record<string, A>>;
  readonly shown: string;
  readonly what: string;
}

const rows = <A extends string>(...keys: readonly PanelKey<A>[]): readonly PanelKey<A>[] => keys;

export const CHART_KEYS = rows(
  { keys: { ArrowLeft: "before", ArrowRight: "after" }, shown: "← →", what: "from bar to bar" },
  { keys: { PageUp: "tenBefore", PageDown: "tenAfter" }, shown: "PgUp PgDn", what: "by ten bars" },
  { keys: { Home: "first", End: "last" }, shown: "Home End", what: "the first bar in view, the newest bar" },
  { keys: { "+": "closer", "=": "closer", "-": "wider" }, shown: "+ −", what: "zoom" },
  { keys: { Enter: "menu" }, shown: "Enter", what: "what can be done here: a line, an alert, the table" },
  { keys: { Escape: "leave" }, shown: "Esc", what: "let go of the bar" },
);

export const HEATMAP_KEYS = rows(
  { keys: { ArrowLeft: "earlier", ArrowRight: "later", ArrowUp: "higher", ArrowDown: "lower" }, shown: "← → ↑ ↓", what: "move in time and price" },
  { keys: { "+": "closer", "=": "closer", "-": "wider" }, shown: "+ −", what: "zoom time" },
  { keys: { "Shift ArrowUp": "taller", "Shift ArrowDown": "flatter" }, shown: "Shift ↑ ↓", what: "zoom price" },
  { keys: { ",": "weaker", ".": "stronger" }, shown: ", .", what: "contrast" },
  { keys: { "[": "finer", "]": "coarser" }, shown: "[ ]", what: "price step" },
  { keys: { f: "follow", Home: "follow" }, shown: "f Home", what: "follow the price" },
);

export const LADDER_KEYS = rows(
  { keys: { ArrowUp: "up", ArrowDown: "down" }, shown: "↑ ↓", what: "from price to price" },
  { keys: { Enter: "choose" }, shown: "Enter", what: "begin an alert at the price" },
  { keys: { PageUp: "asksAway", PageDown: "bidsAway" }, shown: "PgUp PgDn", what: "scroll the asks, the bids away from the touch" },
  { keys: { Home: "touch" }, shown: "Home", what: "back to the touch" },
  { keys: { "[": "finer", "]": "coarser" }, shown: "[ ]", what: "price step" },
);

export const DEPTH_KEYS = rows(
  { keys: { ArrowLeft: "left", ArrowRight: "right" }, shown: "← →", what: "read the values along the curve" },
  { keys: { "+": "closer", "=": "closer", "-": "wider" }, shown: "+ −", what: "zoom" },
  { keys: { Escape: "leave" }, shown: "Esc", what: "let go" },
);

/** Flow and footprint. */
export const SHEET_KEYS = rows(
  { keys: { ArrowLeft: "earlier", ArrowRight: "later" }, shown: "← →", what: "move in time" },
  { keys: { "+": "closer", "-": "wider" }, shown: "+ −", what: "zoom" },
  { keys: { End: "newest" }, shown: "End", what: "to the newest" },
);

export const TAPE_KEYS = rows({ keys: { " ": "hold" }, shown: "Space", what: "hold the list, and let it go on" });

export const TIMELINE_KEYS = rows(
  { keys: { ArrowLeft: "back", ArrowDown: "back", ArrowRight: "on", ArrowUp: "on" }, shown: "← →", what: "five seconds back, on; with Shift a minute" },
  { keys: { PageDown: "farBack", PageUp: "farOn" }, shown: "PgDn PgUp", what: "a tenth of it back, on" },
  { keys: { Home: "begin", End: "end" }, shown: "Home End", what: "its begin, its end" },
);

/** By the panel's name on its tab. */
export const PANEL_KEYS: readonly (readonly [string, readonly PanelKey[]])[] = [
  ["Chart", CHART_KEYS], ["Book", LADDER_KEYS], ["Heatmap", HEATMAP_KEYS], ["Depth", DEPTH_KEYS], ["Trades", TAPE_KEYS], ["Flow, Footprint", SHEET_KEYS],
  ["Timeline of a recording", TIMELINE_KEYS],
];

export interface Pressed {
  readonly key: string;
  readonly shiftKey: boolean;
}

/** What a key does in a panel. One that is not there with Shift does what it does without: "+" is had by Shift on many keyboards. */
export function panelAction<A extends string>(keys: readonly PanelKey<A>[], { key, shiftKey }: Pressed): A | undefined {
  const find = (name: string): A | undefined => keys.find((row) => Object.hasOwn(row.keys, name))?.keys[name];
  return (shiftKey ? find(`Shift ${key}`) : undefined) ?? find(key);
}

const SPOKEN: Readonly<Record<string, string>> = {
  "←": "left", "→": "right", "↑": "up", "↓": "down", "+": "plus", "−": "minus", ",": "comma", ".": "full stop", "[": "left bracket", "]": "right bracket",
  PgUp: "page up", PgDn: "page down", Esc: "escape",
};

/** The same in words, for a label. */
export const spokenKeys = (keys: readonly PanelKey[]): string =>
  keys.map(({ shown, what }) => `${shown.split(" ").map((key) => SPOKEN[key] ?? key).join(" ")}: ${what}`).join("; ");

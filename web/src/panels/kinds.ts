// The panels that there are. A layout names them by id; a further one is a file here and a line in KINDS.

import type { Session } from "../state/session.ts";
import { h } from "../ui/dom.ts";
import type { Panel } from "../ui/scheduler.ts";
import { AlertsPanel } from "./alerts.ts";
import { Cards } from "./cards.ts";
import { Chart } from "./chart.ts";
import { DepthChart } from "./depth.ts";
import { Events, Pipeline } from "./events.ts";
import { Flow } from "./flow.ts";
import { FootprintPanel } from "./footprint.ts";
import { Heatmap } from "./heatmap.ts";
import { Ladder } from "./ladder.ts";
import { MetricsPanel } from "./metrics.ts";
import { TradeTape } from "./tape.ts";
import { Venues } from "./venues.ts";
import { HealthPanel } from "./vitals.ts";
import { Watchlist } from "./watchlist.ts";

/** A panel with its place in the document. The scheduler does not paint what cannot be seen. */
export interface Shown extends Panel {
  readonly el: HTMLElement;
  /** It came into view, or went out of it: ask for what only it needs, or no longer (`session.asks()`). */
  readonly visible?: (shown: boolean) => void;
}

/** What a panel may ask of the page around it. */
export interface Page {
  /** Brings a panel into view: `alerts`. */
  readonly open: (id: string) => void;
  /** Begins a rule in the form of the alerts panel. */
  readonly writeRule: (text: string) => void;
}

export interface PanelKind {
  readonly id: string; // saved layouts and links hold it: it never changes
  readonly title: string;
  readonly make: (session: Session, page: Page) => Shown;
  /** As tall as its content, with no strip of tabs over it: about how many pixels. */
  readonly slim?: number;
  /** `all`: it shows more than the chosen instrument, and is not dimmed when that is silent. */
  readonly of?: "all";
}

// The tab over a panel shows its name; for those who jump from heading to heading it is one as well.
const silent = (text: string): HTMLElement => h("h3", { class: "sr" }, text);

export const KINDS: readonly PanelKind[] = [
  { id: "cards", title: "Figures", slim: 62, make: (s) => new Cards(s) },
  { id: "watch", title: "Markets", of: "all", make: (s) => new Watchlist(s, silent("Markets")) },
  { id: "chart", title: "Chart", make: (s, page) => new Chart(s, page) },
  { id: "ladder", title: "Book", make: (s, page) => new Ladder(s, silent("Order book"), page) },
  { id: "tape", title: "Trades", make: (s) => new TradeTape(s, silent("Trades")) },
  { id: "health", title: "Health", of: "all", make: (s) => new HealthPanel(s, silent("Health")) },
  { id: "events", title: "Events", of: "all", make: (s) => new Events(s, silent("Events")) },
  { id: "pipeline", title: "Pipeline", of: "all", make: (s) => new Pipeline(s, silent("Pipeline")) },
  { id: "heatmap", title: "Heatmap", make: (s) => new Heatmap(s) },
  { id: "depth", title: "Depth", make: (s) => new DepthChart(s) },
  { id: "metrics", title: "Metrics", make: (s, page) => new MetricsPanel(s, page.writeRule) },
  { id: "flow", title: "Flow", make: (s) => new Flow(s) },
  { id: "footprint", title: "Footprint", make: (s) => new FootprintPanel(s) },
  { id: "venues", title: "Venues", of: "all", make: (s) => new Venues(s) },
  { id: "alerts", title: "Alerts", of: "all", make: (s) => new AlertsPanel(s) },
];

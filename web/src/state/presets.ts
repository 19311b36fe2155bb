// The layouts that come with the page, in the words of layouttext.ts. Panels that there are not (yet) are left out by its reader.

export interface Preset {
  readonly id: string;
  readonly title: string;
  readonly what: string;
  /** The widest screen each text is for, in pixels of the workspace; the first that fits is taken. */
  readonly texts: readonly (readonly [number, string])[];
}

const FIGURES = "a:cards";
const SIDE = "c(0.62:watch,0.38:events.pipeline.health)";
const DOCK = "heatmap.metrics!.alerts.*";

export const PRESETS: readonly Preset[] = [
  {
    id: "trading", title: "Trading", what: "all at once",
    texts: [
      [1240, `1~c(${FIGURES},1:r(236p:${SIDE},1:c(0.6:chart,0.4:${DOCK}),252p:c(0.6:ladder,0.4:tape)))`],
      [1680, `1~r(284p:${SIDE},1:c(${FIGURES},1:r(1:c(0.63:chart,0.37:${DOCK}),264p:ladder,244p:tape)))`],
      [1e5, `1~r(300p:${SIDE},1:c(${FIGURES},1:r(1:c(0.62:chart,0.38:r(0.5:heatmap,0.5:metrics.alerts.*)),292p:ladder,264p:tape)))`],
    ],
  },
  { id: "chart", title: "Chart", what: "the chart, and lists beside it", texts: [[1e5, `1~r(1:c(${FIGURES},1:chart),280p:c(0.5:watch,0.5:ladder.tape))`]] },
  {
    id: "flow", title: "Book and flow", what: "heatmap, ladder, trades",
    texts: [[1e5, `1~r(1:c(${FIGURES},0.62:heatmap,0.38:chart.flow.footprint),290p:ladder,270p:c(0.66:tape,0.34:depth.watch))`]],
  },
  {
    id: "monitor", title: "Monitor", what: "every instrument, alert and connection",
    texts: [[1e5, "1~r(0.34:watch,0.33:c(0.5:health.pipeline,0.5:events),0.33:c(0.6:alerts,0.4:venues.metrics))"]],
  },
  {
    id: "analytics", title: "Analytics", what: "metrics, flow, footprint, venues",
    texts: [[1e5, `1~c(${FIGURES},1:r(0.56:c(0.55:chart,0.45:footprint.flow),0.44:c(0.5:metrics,0.5:venues.depth.alerts)))`]],
  },
];

export const presetText = (preset: Preset, width: number): string =>
  (preset.texts.find(([most]) => width <= most) ?? preset.texts.at(-1))?.[1] ?? "1~";

/** What a phone shows of one panel: itself, and over the chart the figures. */
export const narrowText = (panel: string): string => (panel === "chart" ? `1~c(${FIGURES},1:chart)` : `1~${panel}`);

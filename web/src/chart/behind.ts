// What is drawn behind the bars of the price chart: a primitive of the chart that is its own view and its own renderer.

import type { IPrimitivePaneRenderer, IPrimitivePaneView, ISeriesPrimitive, SeriesAttachedParameter, Time } from "lightweight-charts";

export type Target = Parameters<IPrimitivePaneRenderer["draw"]>[0];

export abstract class Behind implements ISeriesPrimitive<Time>, IPrimitivePaneView, IPrimitivePaneRenderer {
  protected on: SeriesAttachedParameter<Time> | null = null;

  abstract draw(target: Target): void;

  attached(on: SeriesAttachedParameter<Time>): void {
    this.on = on;
  }

  detached(): void {
    this.on = null;
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return [this];
  }

  zOrder(): "bottom" {
    return "bottom";
  }

  renderer(): IPrimitivePaneRenderer {
    return this;
  }
}

// The document's title: what the market is worth, as long as that is known; of data that may be old no price is ever told. Pure.

import { fixed, symbolOf } from "../ui/format.ts";
import type { Health } from "./health.ts";
import type { Row } from "./market.ts";

export interface Titled {
  readonly health: Health;
  readonly row: Row | undefined;
  readonly raised: readonly string[];
  readonly resting: boolean; // nobody looks: quotes are not asked for
}

const KNOWN = new Set(["live", "closed"]);

export function titleOf({ health, row, raised, resting }: Titled): string {
  const known = row && !health.dead && !resting && KNOWN.has(row.info?.state ?? "");
  const price = known && row.price !== null ? `${fixed(row.price, row.priceDecimals + (row.mid === null ? 0 : 1))} ` : "";
  const alarm = raised.length === 0 ? "" : `▲ ${raised.length === 1 ? raised[0] : `${raised.length} alerts`}`;
  const state = health.label === "LIVE" ? "" : health.label;
  return [alarm, state, row ? `${price}${symbolOf(row.id)}` : "", "Tapeline"].filter(Boolean).join(" · ");
}

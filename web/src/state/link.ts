// A link to what is shown: `#layout=…&instrument=…&interval=…`. It stays behind the `#`, which a browser sends to no server. Pure.
//
// Anyone may write one: each part is read by its own strict pattern and is otherwise as if it were not there.

import { LONGEST } from "./layouttext.ts";

export interface Link {
  readonly layout?: string;
  readonly instrument?: string;
  readonly interval?: string;
}

const INSTRUMENT = /^[a-z][a-z0-9-]{0,31}:[^\s\\<>"'`/]{1,64}$/;
const INTERVAL = /^[A-Za-z0-9_.:@/-]{1,40}$/;

export function readLink(hash: string): Link {
  const asked = new URLSearchParams(hash.replace(/^#/, "").slice(0, 4 * LONGEST));
  const part = (name: string, pattern: RegExp): string | undefined => {
    const value = asked.get(name);
    return value !== null && pattern.test(value) ? value : undefined;
  };
  const layout = part("layout", /^[a-z0-9@~!*.,:()-]{1,1500}$/);
  const instrument = part("instrument", INSTRUMENT);
  const interval = part("interval", INTERVAL);
  return { ...(layout ? { layout } : {}), ...(instrument ? { instrument } : {}), ...(interval ? { interval } : {}) };
}

export function writeLink({ layout, instrument, interval }: Link): string {
  const tame = (text: string): string => encodeURIComponent(text).replaceAll("%3A", ":").replaceAll("%40", "@").replaceAll("%2C", ",");
  const parts = Object.entries({ layout, instrument, interval }).flatMap(([name, value]) => (value ? [`${name}=${tame(value)}`] : []));
  return parts.length > 0 ? `#${parts.join("&")}` : "";
}

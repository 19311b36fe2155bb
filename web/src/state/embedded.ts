// What the address of an embedded panel asks for: `/embed/chart?instrument=…&interval=…&theme=…&palette=…&zone=…#token=…`. Pure.
//
// The address is written by somebody's page or notebook: each part is read by its own pattern. The token, where the server demands one,
// stands behind the `#`: no server and no log ever sees it there.

import { readLink } from "./link.ts";

/** The words of the address and the panels that they mean. */
export const EMBEDS: Readonly<Record<string, string>> = { chart: "chart", book: "ladder", tape: "tape", heatmap: "heatmap" };

export interface Embedded {
  readonly word: string; // as the address has it
  readonly panel: string; // empty where the word means none
  readonly instrument: string;
  readonly interval: string;
  readonly zone: string;
  readonly token: string;
}

export function readEmbed(pathname: string, search: string, hash: string): Embedded {
  const word = /\/embed\/([^/]+)\/?$/.exec(pathname)?.[1] ?? "";
  const asked = new URLSearchParams(search);
  const { instrument = "", interval = "" } = readLink(search.replace(/^\?/, "#"));
  const token = new URLSearchParams(hash.replace(/^#/, "")).get("token") ?? "";
  return {
    word, panel: Object.hasOwn(EMBEDS, word) ? (EMBEDS[word] ?? "") : "",
    instrument: instrument || (asked.get("instrument") ?? "").slice(0, 80), interval, zone: (asked.get("zone") ?? "").slice(0, 64),
    token: /^[\w.~+/=-]{8,200}$/.test(token) ? token : "",
  };
}

// What the viewer chose of the chart, remembered in the browser: one text a chart, one list of lines an instrument. Pure but for the
// reading and writing of texts, which are given.

import { cleaned, type Chosen, kindOf } from "./studies.ts";
import { type Kind, KINDS } from "./points.ts";

export const SCALES = ["price", "log", "percent"] as const;
export type Scale = (typeof SCALES)[number];
export const MOST_STUDIES = 12;
export const MOST_OTHERS = 6;
export const MOST_LEVELS = 40;

export interface Settings {
  kind: Kind;
  scale: Scale;
  volume: boolean;
  mid: boolean;
  studies: Chosen[];
  others: string[];
  words: boolean; // all the words over the chart, also where they are many
}

export const fresh = (): Settings => ({ kind: "candles", scale: "price", volume: true, mid: false, studies: [], others: [], words: false });

/** What a text remembers; whatever in it is not understood is left out. */
export function read(text: string | null): Settings {
  const settings = fresh();
  const kept = parsed(text);
  if (kept === null || typeof kept !== "object") return settings;
  const { kind, scale, volume, mid, studies, others, words } = kept as Record<string, unknown>;
  if (KINDS.includes(kind as Kind)) settings.kind = kind as Kind;
  if (SCALES.includes(scale as Scale)) settings.scale = scale as Scale;
  if (typeof volume === "boolean") settings.volume = volume;
  if (typeof mid === "boolean") settings.mid = mid;
  if (typeof words === "boolean") settings.words = words;
  if (Array.isArray(studies)) settings.studies = studies.flatMap(study).slice(0, MOST_STUDIES);
  if (Array.isArray(others)) settings.others = others.filter((id) => typeof id === "string").slice(0, MOST_OTHERS);
  return settings;
}

function study(raw: unknown): Chosen[] {
  const { kind, params, metric } = (raw ?? {}) as Record<string, unknown>;
  if (kind === "metric") return typeof metric === "string" ? [{ kind, params: [], metric }] : [];
  const known = typeof kind === "string" ? kindOf(kind) : undefined;
  return known ? [{ kind: known.id, params: cleaned(known, Array.isArray(params) ? params : []) }] : [];
}

export function readLevels(text: string | null): number[] {
  const kept = parsed(text);
  if (!Array.isArray(kept)) return [];
  return kept.filter((price): price is number => typeof price === "number" && Number.isFinite(price)).slice(0, MOST_LEVELS);
}

function parsed(text: string | null): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return null; // written by hand, or by another version
  }
}

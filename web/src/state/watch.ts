// How the list of markets is arranged: which are shown, in which groups, in which order. Pure.
//
// Two orders: by a column, or one's own, made by moving rows. Moving a row while a column orders the list makes the order that is seen
// one's own. An instrument that is new stands last. In groups of one's own an instrument stands in one; those in none stand together at
// the end. What is remembered is bounded: MOST_KEPT names.

import type { Row } from "./market.ts";

export const COLUMNS = ["name", "mid", "change", "spread", "volume", "age"] as const;
export type Column = (typeof COLUMNS)[number];
export const GROUPINGS = ["none", "venue", "base", "own"] as const;
export type Grouping = (typeof GROUPINGS)[number];
const MOST_KEPT = 2000;
const UNGROUPED = "Others";

export interface Choices {
  readonly sort: { readonly by: Column; readonly down: boolean } | null;
  readonly group: Grouping;
  readonly order: readonly string[];
  /** Groups of one's own, in their order. */
  readonly own: readonly { readonly name: string; readonly ids: readonly string[] }[];
  readonly closed: readonly string[];
  readonly compact: boolean;
}

export const PLAIN: Choices = { sort: null, group: "none", order: [], own: [], closed: [], compact: false };

export interface Section {
  readonly name: string; // "" where there are no groups
  readonly ids: readonly string[];
  readonly closed: boolean;
}

/** What a row is ordered by; null is not known and stands last whichever way. */
export type Values = (id: string) => Readonly<Record<Column, number | string | null>>;

export function values(row: Row, volume: number | null): Readonly<Record<Column, number | string | null>> {
  const { id, price, change, spreadBps, lastRecv } = row;
  return { name: symbolOf(id), mid: price, change, spread: spreadBps, volume, age: lastRecv > 0 ? -lastRecv : null };
}

const symbolOf = (id: string): string => id.slice(id.indexOf(":") + 1);
const venueOf = (id: string): string => id.slice(0, Math.max(0, id.indexOf(":")));
export const baseOf = (id: string): string => symbolOf(id).split("-", 1)[0] ?? "";

export function arrange(ids: readonly string[], choices: Choices, words: string, of: Values): Section[] {
  const fitting = ordered(ids, choices, of).filter((id) => fits(id, words));
  const sections = new Map<string, string[]>();
  if (choices.group === "own" && words === "") for (const group of choices.own) sections.set(group.name, []);
  for (const id of fitting) {
    const name = groupOf(id, choices);
    const there = sections.get(name);
    if (there) there.push(id);
    else sections.set(name, [id]);
  }
  const names = [...sections.keys()];
  if (choices.group === "own") names.sort((a, b) => Number(a === UNGROUPED) - Number(b === UNGROUPED));
  return names.map((name) => ({ name, ids: sections.get(name) ?? [], closed: words === "" && choices.closed.includes(closedName(choices, name)) }));
}

const closedName = (choices: Choices, name: string): string => `${choices.group} ${name}`;

function groupOf(id: string, choices: Choices): string {
  if (choices.group === "venue") return venueOf(id);
  if (choices.group === "base") return baseOf(id);
  if (choices.group === "none") return "";
  return choices.own.find((group) => group.ids.includes(id))?.name ?? UNGROUPED;
}

/** Each word must be part of the id, whatever separates its parts: `btcusd`, `eth perp`. */
export function fits(id: string, words: string): boolean {
  const bare = plain(id);
  if (bare.includes(plain(words))) return true;
  return words.trim().split(/\s+/).every((word) => bare.includes(plain(word)));
}

const plain = (text: string): string => text.toUpperCase().replace(/[-/_:\s]/g, "");

function ordered(ids: readonly string[], { sort, order }: Choices, of: Values): string[] {
  const place = new Map(order.map((id, i) => [id, i]));
  const own = [...ids].sort((a, b) => (place.get(a) ?? Infinity) - (place.get(b) ?? Infinity) || ids.indexOf(a) - ids.indexOf(b));
  if (!sort) return own;
  const known = new Map(own.map((id) => [id, of(id)[sort.by]]));
  return own.sort((a, b) => compare(known.get(a) ?? null, known.get(b) ?? null, sort.down));
}

function compare(a: number | string | null, b: number | string | null, down: boolean): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const by = typeof a === "string" || typeof b === "string" ? String(a).localeCompare(String(b)) : a - b;
  return down ? -by : by;
}

/** A click on a column: its first way (words up, numbers down), the other, one's own order. */
export function sortedBy(choices: Choices, by: Column): Choices {
  const first = by !== "name" && by !== "age";
  const { sort } = choices;
  if (sort?.by !== by) return { ...choices, sort: { by, down: first } };
  return { ...choices, sort: sort.down === first ? { by, down: !first } : null };
}

/** `id` put before or after `other`, in its group too. `seen` is the order on the screen, which becomes one's own. */
export function moved(choices: Choices, seen: readonly string[], id: string, other: string, after: boolean): Choices {
  if (id === other) return choices;
  const order = seen.filter((x) => x !== id);
  order.splice(order.indexOf(other) + (after ? 1 : 0), 0, id);
  const rest = choices.order.filter((x) => !order.includes(x));
  const next = { ...choices, sort: null, order: [...order, ...rest].slice(0, MOST_KEPT) };
  if (choices.group !== "own") return next;
  const group = choices.own.find((g) => g.ids.includes(other))?.name ?? "";
  return put(next, id, group);
}

/** One step up or down among those of its section. */
export function stepped(choices: Choices, sections: readonly Section[], id: string, by: 1 | -1): Choices {
  const section = sections.find((s) => s.ids.includes(id));
  const other = section?.ids[section.ids.indexOf(id) + by];
  if (!other) return choices;
  return moved(choices, sections.flatMap((s) => s.ids), id, other, by > 0);
}

/** Into a group of one's own, which is made where there is none of that name; "": into none. A group left empty is gone. */
export function put(choices: Choices, id: string, name: string): Choices {
  const without = choices.own.map((g) => ({ name: g.name, ids: g.ids.filter((x) => x !== id) }));
  if (name !== "" && name !== UNGROUPED) {
    const group = without.find((g) => g.name === name);
    if (group) group.ids.push(id);
    else without.push({ name, ids: [id] });
  }
  return { ...choices, own: without.filter((g) => g.ids.length > 0).slice(0, 100) };
}

export function toggled(choices: Choices, name: string): Choices {
  const key = closedName(choices, name);
  const closed = choices.closed.includes(key) ? choices.closed.filter((x) => x !== key) : [...choices.closed, key].slice(-MOST_KEPT);
  return { ...choices, closed };
}

/** What was remembered, or PLAIN where it cannot be read: of an earlier version, or not ours. */
export function parse(text: string | null): Choices {
  try {
    const found = JSON.parse(text ?? "null") as Partial<Choices> | null;
    if (!found || typeof found !== "object") return PLAIN;
    const strings = (list: unknown): string[] => (Array.isArray(list) ? list.filter((x): x is string => typeof x === "string").slice(0, MOST_KEPT) : []);
    const own = (Array.isArray(found.own) ? found.own : []).filter((g) => typeof g?.name === "string").map((g) => ({ name: g.name, ids: strings(g.ids) }));
    const by = COLUMNS.find((c) => c === found.sort?.by);
    return {
      sort: by && found.sort ? { by, down: found.sort.down === true } : null,
      group: GROUPINGS.find((g) => g === found.group) ?? "none",
      order: strings(found.order), own, closed: strings(found.closed), compact: found.compact === true,
    };
  } catch {
    return PLAIN;
  }
}

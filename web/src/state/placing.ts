// A layout in pixels: the rectangle of each group, the seams between them that can be dragged, and what a drop at a point would do.
//
// Sizes in pixels come first, shares divide the rest. Where the room is too small, fixed sizes give way before shares fall under
// their least, and in the end all shrink alike: nothing ever hangs out of the window.

import { type Group, groupsOf, type Layout, type LayoutNode, type Side, type Size, type Split, type Target } from "./layout.ts";

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Between child `at` of a split and the next one. `sizes` and `mins` are those of all its children. */
export interface Seam {
  readonly split: number;
  readonly at: number;
  readonly kind: "row" | "column";
  readonly rect: Rect;
  readonly sizes: readonly number[];
  readonly mins: readonly number[];
  readonly before: string; // the panels on either side, for its label
  readonly after: string;
}

export interface Placed {
  readonly groups: readonly { readonly group: Group; readonly rect: Rect }[];
  readonly seams: readonly Seam[];
}

export interface Measures {
  readonly gap: number;
  /** The height that a panel's content needs, where it has one of its own: of `auto`. */
  readonly natural: (panel: string) => number | null;
}

const LEAST = { row: 150, column: 84 } as const;
const NARROW_AUTO = 30;

/** The least room of a node along a row or a column. */
function least(node: LayoutNode, along: "row" | "column", m: Measures): number {
  if (node.kind === "group") return along === "column" && natural(node, m) !== null ? NARROW_AUTO : LEAST[along];
  const all = node.children.map((c) => least(c.node, along, m));
  return node.kind === along ? all.reduce((a, b) => a + b, m.gap * (all.length - 1)) : Math.max(...all);
}

const natural = (node: LayoutNode, m: Measures): number | null => (node.kind === "group" && node.tabs.length === 1 ? m.natural(node.active) : null);

export function allot(room: number, sizes: readonly Size[], mins: readonly number[], naturals: readonly (number | null)[]): number[] {
  const fixed = sizes.map((s, i) => (s.unit === "px" ? Math.max(s.n, mins[i] ?? 0) : s.unit === "auto" ? (naturals[i] ?? null) : null));
  const loose = sizes.flatMap((_, i) => (fixed[i] === null ? [i] : []));
  const held = fixed.reduce<number>((sum, n) => sum + (n ?? 0), 0);
  const needed = loose.reduce((sum, i) => sum + (mins[i] ?? 0), 0);
  const slack = fixed.reduce<number>((sum, n, i) => sum + (n === null ? 0 : Math.max(0, n - (mins[i] ?? 0))), 0);
  const giving = slack > 0 ? Math.min(1, Math.max(0, held + needed - room) / slack) : 0;
  const out = fixed.map((n, i) => (n === null ? 0 : n - giving * Math.max(0, n - (mins[i] ?? 0))));
  divide(room - out.reduce((a, b) => a + b, 0), loose, sizes, mins, out);
  const sum = out.reduce((a, b) => a + b, 0) || 1;
  return sum > room + 0.5 || loose.length === 0 ? out.map((n) => (n * Math.max(0, room)) / sum) : out;
}

/** Shares of what is left, none under its least while others can give. */
function divide(room: number, loose: readonly number[], sizes: readonly Size[], mins: readonly number[], out: number[]): void {
  let open = [...loose];
  let left = room;
  for (;;) {
    const sum = open.reduce((s, i) => s + weight(sizes[i]), 0) || 1;
    const small = open.filter((i) => (left * weight(sizes[i])) / sum < (mins[i] ?? 0));
    if (small.length === 0 || small.length === open.length) {
      for (const i of open) out[i] = Math.max(small.length > 0 ? (mins[i] ?? 0) : 0, (left * weight(sizes[i])) / sum);
      return;
    }
    for (const i of small) {
      out[i] = mins[i] ?? 0;
      left -= out[i];
    }
    open = open.filter((i) => !small.includes(i));
  }
}

const weight = (size: Size | undefined): number => (size?.unit === "share" ? size.n : 1);

export function place(layout: Layout, room: Rect, m: Measures): Placed {
  const groups: Placed["groups"][number][] = [];
  const seams: Seam[] = [];
  const walk = (node: LayoutNode, rect: Rect): void => {
    if (node.kind === "group") groups.push({ group: node, rect: rounded(rect) });
    else for (const [inner, part] of parts(node, rect, m, seams)) walk(inner, part);
  };
  if (layout) walk(layout, room);
  return { groups, seams };
}

function parts(split: Split, rect: Rect, m: Measures, seams: Seam[]): [LayoutNode, Rect][] {
  const { kind, children } = split;
  const row = kind === "row";
  const mins = children.map((c) => least(c.node, kind, m));
  const room = (row ? rect.width : rect.height) - m.gap * (children.length - 1);
  const sizes = allot(room, children.map((c) => c.size), mins, children.map((c) => (row ? null : natural(c.node, m))));
  let at = row ? rect.x : rect.y;
  return children.map((child, i): [LayoutNode, Rect] => {
    const length = sizes[i] ?? 0;
    const part = row ? { ...rect, x: at, width: length } : { ...rect, y: at, height: length };
    at += length;
    const next = children[i + 1];
    if (next) {
      const gap = row ? { ...rect, x: at, width: m.gap } : { ...rect, y: at, height: m.gap };
      seams.push({ split: split.id, at: i, kind, rect: rounded(gap), sizes, mins, before: named(child.node), after: named(next.node) });
    }
    at += m.gap;
    return [child.node, part];
  });
}

const named = (node: LayoutNode): string => groupsOf(node)[0]?.active ?? "";

/** On whole pixels, edges first, so that neighbours neither overlap nor gape. */
function rounded({ x, y, width, height }: Rect): Rect {
  const [left, top] = [Math.round(x), Math.round(y)];
  return { x: left, y: top, width: Math.round(x + width) - left, height: Math.round(y + height) - top };
}

/** What a drop at a point does, and the room that the panel would get. */
export interface Drop {
  readonly target: Target;
  readonly rect: Rect;
}

const EDGE_PX = 12;
const QUARTER = 0.26;

export function dropAt(placed: Placed, room: Rect, x: number, y: number, head: number): Drop | null {
  const edge = nearest(room, x, y, EDGE_PX);
  if (edge) return { target: { edge }, rect: sideOf(room, edge, 0.25) };
  const hit = placed.groups.find(({ rect }) => inside(rect, x, y));
  if (!hit) return null;
  const { group, rect } = hit;
  if (y < rect.y + head) return { target: { group: group.id }, rect };
  const [fx, fy] = [(x - rect.x) / rect.width, (y - rect.y) / rect.height];
  const sides: [Side, number][] = [["left", fx], ["right", 1 - fx], ["top", fy], ["bottom", 1 - fy]];
  const [side, away] = sides.reduce((best, s) => (s[1] < best[1] ? s : best));
  return away < QUARTER ? { target: { group: group.id, side }, rect: sideOf(rect, side, 0.5) } : { target: { group: group.id }, rect };
}

const inside = (r: Rect, x: number, y: number): boolean => x >= r.x && x < r.x + r.width && y >= r.y && y < r.y + r.height;

function nearest(room: Rect, x: number, y: number, within: number): Side | null {
  if (!inside(room, x, y)) return null;
  if (x - room.x < within) return "left";
  if (room.x + room.width - x < within) return "right";
  if (room.y + room.height - y < within) return "bottom";
  return null; // the upper edge is where tabs are dropped
}

function sideOf({ x, y, width, height }: Rect, side: Side, part: number): Rect {
  const [w, h] = [width * part, height * part];
  if (side === "left") return { x, y, width: w, height };
  if (side === "right") return { x: x + width - w, y, width: w, height };
  return side === "top" ? { x, y, width, height: h } : { x, y: y + height - h, width, height: h };
}

const TOUCHING = 24;

/** The group that lies beside another on a side: the one with the most border in common. */
export function neighbour(placed: Placed, id: number, side: Side): Group | null {
  const from = placed.groups.find(({ group }) => group.id === id)?.rect;
  if (!from) return null;
  const common = (r: Rect): number => {
    const across = side === "left" || side === "right";
    const gap = { left: from.x - r.x - r.width, right: r.x - from.x - from.width, top: from.y - r.y - r.height, bottom: r.y - from.y - from.height }[side];
    if (gap < 0 || gap > TOUCHING) return 0;
    const [a, b, c, d] = across ? [from.y, from.height, r.y, r.height] : [from.x, from.width, r.x, r.width];
    return Math.min(a + b, c + d) - Math.max(a, c);
  };
  const best = placed.groups.reduce<{ group: Group; border: number } | null>((most, { group, rect }) => {
    const border = common(rect);
    return border > (most?.border ?? 0) ? { group, border } : most;
  }, null);
  return best?.group ?? null;
}

// Where panels stand: a tree whose inner nodes are rows and columns and whose leaves are groups of tabs. Pure, never changed in place.
//
// A panel stands in one place or in none. Groups and splits have numbers, so that the page keeps the same element for a group while
// the tree around it changes. Empty groups vanish, a split of one is that one, and a row within a row is one row: the tree has one
// shape for what is seen.
//
// A child's size is a share of what is left over (`share`), a number of pixels (`px`: side bars keep their width when the window
// grows), or what its content needs (`auto`, of a group of one panel only).

export type Side = "left" | "right" | "top" | "bottom";
export type Size = { readonly unit: "share" | "px"; readonly n: number } | { readonly unit: "auto"; readonly n: 0 };

export interface Group {
  readonly kind: "group";
  readonly id: number;
  readonly tabs: readonly string[];
  readonly active: string;
}

export interface Child {
  readonly node: LayoutNode;
  readonly size: Size;
}

export interface Split {
  readonly kind: "row" | "column";
  readonly id: number;
  readonly children: readonly Child[];
}

export type LayoutNode = Group | Split;
export type Layout = LayoutNode | null;

/** Where a panel is dropped: among a group's tabs, beside a group, or along an edge of the whole. */
export type Target =
  | { readonly group: number; readonly at?: number }
  | { readonly group: number; readonly side: Side }
  | { readonly edge: Side };

const EDGE_SHARE = 0.25;
export const LEAST_PX = 40;
export const share = (n: number): Size => ({ unit: "share", n });
export const px = (n: number): Size => ({ unit: "px", n: Math.max(LEAST_PX, Math.round(n)) });
export const AUTO: Size = { unit: "auto", n: 0 };

export function groupsOf(layout: Layout): Group[] {
  if (layout === null) return [];
  return layout.kind === "group" ? [layout] : layout.children.flatMap((c) => groupsOf(c.node));
}

export const panelsOf = (layout: Layout): string[] => groupsOf(layout).flatMap((g) => [...g.tabs]);

export const groupOf = (layout: Layout, panel: string): Group | undefined => groupsOf(layout).find((g) => g.tabs.includes(panel));

/** Puts a panel somewhere; where it stands already it is taken from there. Without a place it joins the last group. */
export function insert(layout: Layout, panel: string, target?: Target): Layout {
  const last = groupsOf(layout).at(-1);
  if (layout === null || !last) return { kind: "group", id: 1, tabs: [panel], active: panel };
  const to = target ?? { group: last.id };
  const home = groupOf(layout, panel);
  if (home && "group" in to && to.group === home.id) {
    if (!("side" in to)) return edit(layout, home.id, (g) => arranged(g, panel, to.at));
    if (home.tabs.length === 1) return layout; // beside itself
  }
  // The number of a group that vanishes with the panel cannot be the target's: that is another group, or one that keeps a panel.
  const rest = home ? remove(layout, panel) : layout;
  if (rest === null) return layout;
  if ("edge" in to) return tidy(beside(rest, rest.id, panel, to.edge, freshId(rest), EDGE_SHARE));
  if ("side" in to) return tidy(beside(rest, to.group, panel, to.side, freshId(rest), 0.5));
  return edit(rest, to.group, (g) => arranged(g, panel, to.at));
}

export function remove(layout: Layout, panel: string): Layout {
  const home = groupOf(layout, panel);
  if (!layout || !home) return layout;
  return edit(layout, home.id, (g) => {
    const at = g.tabs.indexOf(panel);
    const tabs = g.tabs.filter((t) => t !== panel);
    const active = g.active === panel ? (tabs[Math.min(at, tabs.length - 1)] ?? "") : g.active;
    return { ...g, tabs, active };
  });
}

export function activate(layout: Layout, panel: string): Layout {
  const home = groupOf(layout, panel);
  return home && layout ? edit(layout, home.id, (g) => ({ ...g, active: panel })) : layout;
}

/** Moves the border after child `at` of a split. `sizes`: what its children measure now, in pixels; `mins`: the least of each. */
export function resize(layout: Layout, split: number, at: number, by: number, sizes: readonly number[], mins: readonly number[]): Layout {
  const [a, b] = [sizes[at], sizes[at + 1]];
  if (a === undefined || b === undefined) return layout;
  const moved = Math.max(Math.min((mins[at] ?? 0) - a, 0), Math.min(by, Math.max(b - (mins[at + 1] ?? 0), 0)));
  const now = sizes.map((s, i) => (i === at ? s + moved : i === at + 1 ? s - moved : s));
  const change = (node: LayoutNode): LayoutNode => {
    if (node.kind === "group") return node;
    if (node.id !== split) return { ...node, children: node.children.map((c) => ({ ...c, node: change(c.node) })) };
    const loose = node.children.reduce((sum, c, i) => sum + (c.size.unit === "share" ? (now[i] ?? 0) : 0), 0) || 1;
    const sized = (size: Size, i: number): Size => {
      if (size.unit === "share") return share((now[i] ?? 0) / loose);
      return size.unit === "auto" && i !== at && i !== at + 1 ? size : px(now[i] ?? 0);
    };
    return { ...node, children: node.children.map((c, i) => ({ node: c.node, size: sized(c.size, i) })) };
  };
  return layout && change(layout);
}

function arranged(group: Group, panel: string, at?: number): Group {
  const before = group.tabs.indexOf(panel);
  const tabs = group.tabs.filter((t) => t !== panel);
  // Places are counted with the panel still in its own: those behind it move up.
  const place = at === undefined ? tabs.length : before >= 0 && before < at ? at - 1 : at;
  tabs.splice(Math.max(0, Math.min(tabs.length, place)), 0, panel);
  return { ...group, tabs, active: panel };
}

function edit(layout: LayoutNode, id: number, change: (group: Group) => Group): Layout {
  const walk = (node: LayoutNode): LayoutNode => {
    if (node.kind === "group") return node.id === id ? change(node) : node;
    return { ...node, children: node.children.map((c) => ({ ...c, node: walk(c.node) })) };
  };
  return tidy(walk(layout));
}

/** Node `id` and beside it a new group, which takes `part` of its room. */
function beside(layout: LayoutNode, id: number, panel: string, side: Side, number: number, part: number): LayoutNode {
  const kind = side === "left" || side === "right" ? "row" : "column";
  const group: Group = { kind: "group", id: number, tabs: [panel], active: panel };
  const first = side === "left" || side === "top";
  const walk = (node: LayoutNode): LayoutNode => {
    if (node.id === id) {
      const both: Child[] = [{ node, size: share(1 - part) }, { node: group, size: share(part) }];
      return { kind, id: number + 1, children: first ? both.reverse() : both };
    }
    if (node.kind === "group") return node;
    const at = node.children.findIndex((c) => c.node.id === id);
    const child = node.children[at];
    if (!child || node.kind !== kind) return { ...node, children: node.children.map((c) => ({ ...c, node: walk(c.node) })) };
    const both = shared(child, group, node);
    return { ...node, children: node.children.toSpliced(at, 1, ...(first ? both.reverse() : both)) };
  };
  return walk(layout);
}

/** A child and a new group in its room; what is as tall as its content keeps that, and the new one gets a share of its own. */
function shared(child: Child, group: Group, split: Split): Child[] {
  const { size } = child;
  if (size.unit === "auto") return [child, { node: group, size: share(meanShare(split)) }];
  const half: Size = size.unit === "px" ? px(size.n / 2) : share(size.n / 2);
  return [{ ...child, size: half }, { node: group, size: half }];
}

function meanShare(split: Split): number {
  const shares = split.children.filter((c) => c.size.unit === "share").map((c) => c.size.n);
  return shares.length > 0 ? shares.reduce((a, b) => a + b, 0) / shares.length : 1;
}

const freshId = (layout: LayoutNode): number => 1 + Math.max(...ids(layout));
const ids = (node: LayoutNode): number[] => [node.id, ...(node.kind === "group" ? [] : node.children.flatMap((c) => ids(c.node)))];

/** The one shape of what is seen: see the header. */
export function tidy(node: LayoutNode): Layout {
  if (node.kind === "group") return node.tabs.length > 0 ? node : null;
  const children = node.children.flatMap((child): Child[] => {
    const inner = tidy(child.node);
    if (inner === null) return [];
    if (inner.kind === node.kind) return melted(inner, child.size);
    const fits = child.size.unit !== "auto" || (inner.kind === "group" && inner.tabs.length === 1);
    return [{ node: inner, size: fits ? child.size : share(meanShare(node)) }];
  });
  const [only] = children;
  if (children.length <= 1) return only?.node ?? null;
  if (children.some((c) => c.size.unit === "share")) return { ...node, children };
  const most = children.reduce((best, c, i) => (c.size.n > (children[best]?.size.n ?? 0) ? i : best), 0);
  return { ...node, children: children.map((c, i) => (i === most ? { ...c, size: share(1) } : c)) };
}

/** A row's children as children of the row around it: its shares become shares of the room that it had. */
function melted(inner: Split, size: Size): Child[] {
  const sum = inner.children.reduce((s, c) => s + (c.size.unit === "share" ? c.size.n : 0), 0) || 1;
  return inner.children.map((c) => {
    if (c.size.unit !== "share") return c;
    const part = c.size.n / sum;
    return { ...c, size: size.unit === "px" ? px(Math.max(80, size.n * part)) : share(Math.max(size.n, 0.01) * part) };
  });
}

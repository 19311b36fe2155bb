// A layout as a short text, for the browser's store and for links: strictly read, since anyone may write a link.
//
//     1~r(284p:c(0.6:watch,0.4:events!.pipeline),1:chart)
//
// `1` is the version. `r(…)` is a row, `c(…)` a column; before each child its size: a share, pixels (`p`) or what it needs (`a`).
// A group is its panels joined by dots, the one on top marked `!`. `*` stands for every panel that is named nowhere else.
// Panels that there are not are left out, as are repeated ones; anything else that is wrong makes the whole text invalid.

import { AUTO, type Child, type Layout, type LayoutNode, LEAST_PX, px, share, type Size, tidy } from "./layout.ts";

const VERSION = "1";
export const LONGEST = 1500;
const MOST_PANELS = 40; // and so it is no deeper, and no split has more children
const DEEPEST = MOST_PANELS;
const MOST_CHILDREN = MOST_PANELS;
const RENAMED: Readonly<Record<string, string>> = {}; // an id that was changed once: old → new

export function encode(layout: Layout): string {
  return `${VERSION}~${layout === null ? "" : written(layout)}`;
}

function written(node: LayoutNode): string {
  if (node.kind === "group") {
    return node.tabs.map((t, i) => (t === node.active && i > 0 ? `${t}!` : t)).join(".");
  }
  const sum = node.children.reduce((s, c) => s + (c.size.unit === "share" ? c.size.n : 0), 0) || 1;
  const children = node.children.map(({ node: inner, size }) => `${sizeText(size, sum)}:${written(inner)}`);
  return `${node.kind === "row" ? "r" : "c"}(${children.join(",")})`;
}

function sizeText(size: Size, sum: number): string {
  if (size.unit === "auto") return "a";
  return size.unit === "px" ? `${size.n}p` : String(Math.max(0.001, Number((size.n / sum).toFixed(3))));
}

/** The layout of a text, or undefined where it is none. `known`: the panels that there are. An empty layout is null. */
export function decode(text: string, known: readonly string[]): Layout | undefined {
  if (text.length > LONGEST || !text.startsWith(`${VERSION}~`)) return undefined;
  const body = text.slice(VERSION.length + 1);
  if (body === "") return null;
  try {
    return tidy(new Reader(body, known).whole());
  } catch (error) {
    if (error instanceof Wrong) return undefined;
    throw error;
  }
}

class Wrong extends Error {}

class Reader {
  private rest: string;
  private id = 0;
  private readonly left: Set<string>; // panels that may still be named
  private readonly others: string[]; // what `*` stands for

  constructor(text: string, known: readonly string[]) {
    this.rest = text;
    const names = [...text.matchAll(/[a-z][a-z0-9-]*(?=[!.,)]|$)/g)].map(([name]) => RENAMED[name] ?? name);
    if (names.length > MOST_PANELS) throw new Wrong("too many panels");
    this.left = new Set(known);
    this.others = known.filter((id) => !names.includes(id));
  }

  whole(): LayoutNode {
    const node = this.node(0);
    if (this.rest !== "") throw new Wrong("more than a layout");
    return node;
  }

  private take(pattern: RegExp): RegExpExecArray | null {
    const found = pattern.exec(this.rest);
    if (found) this.rest = this.rest.slice(found[0].length);
    return found;
  }

  private node(depth: number): LayoutNode {
    if (depth > DEEPEST) throw new Wrong("too deep");
    const id = ++this.id;
    const opened = this.take(/^[rc]\(/);
    if (!opened) return this.group(id);
    const children: Child[] = [];
    do {
      const size = this.size();
      children.push({ size, node: this.node(depth + 1) });
    } while (this.take(/^,/));
    if (!this.take(/^\)/) || children.length > MOST_CHILDREN) throw new Wrong("no end of a split, or too many in it");
    return { kind: opened[0] === "r(" ? "row" : "column", id, children };
  }

  private size(): Size {
    const found = this.take(/^(?:(a)|(\d{1,4})p|(\d{1,3}(?:\.\d{1,3})?)):/);
    const [, auto, pixels, part] = found ?? [];
    if (auto) return AUTO;
    if (pixels && Number(pixels) >= LEAST_PX) return px(Number(pixels));
    if (part && Number(part) > 0) return share(Number(part));
    throw new Wrong("no size");
  }

  private group(id: number): LayoutNode {
    const tabs: string[] = [];
    let active = "";
    do {
      const found = this.take(/^(\*|[a-z][a-z0-9-]{0,31})(!?)/);
      if (!found) throw new Wrong("no panel");
      const [, name = "", top] = found;
      for (const panel of name === "*" ? this.others : [RENAMED[name] ?? name]) {
        if (!this.left.delete(panel)) continue;
        tabs.push(panel);
        if (top) active = panel;
      }
    } while (this.take(/^\./));
    return { kind: "group", id, tabs, active: active || (tabs[0] ?? "") };
  }
}

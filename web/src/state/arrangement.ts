// Which layout the page has, and how it is remembered: a preset, one that the viewer made, or one that came by a link.
//
// A preset that nobody touched is remembered by name, so that it fits the window it is opened in. A layout of a link is shown but not
// kept until the viewer changes it: opening somebody's link must not cost one's own.

import { groupsOf, type Layout } from "./layout.ts";
import { decode, encode } from "./layouttext.ts";
import { type Preset, PRESETS, presetText } from "./presets.ts";

const MOST_NAMED = 24;
const LONGEST_NAME = 40;

export interface Memory {
  readonly get: (key: string) => string | null;
  readonly set: (key: string, value: string) => void;
}

export interface Named {
  readonly name: string;
  readonly text: string;
}

export class Arrangement {
  layout: Layout = null;
  /** The preset that is shown as it came, or null. */
  preset: Preset | null = null;
  /** Whether it came by a link and was not changed since. */
  borrowed = false;
  private readonly known: readonly string[];
  private readonly memory: Memory;
  private width = 0;

  constructor(known: readonly string[], memory: Memory) {
    this.known = known;
    this.memory = memory;
  }

  /** As it was left. `width`: of the window, which chooses among a preset's texts. */
  recall(width: number): void {
    this.width = width;
    const saved = this.memory.get("layout") ?? "";
    const layout = decode(saved, this.known);
    if (layout !== undefined) this.put(layout, null);
    else this.putPreset(PRESETS.find((p) => saved === `@${p.id}`) ?? PRESETS[0]);
  }

  /** Another window: whether that changed anything. */
  fit(width: number): boolean {
    const other = this.preset !== null && presetText(this.preset, width) !== presetText(this.preset, this.width);
    this.width = width;
    if (other) this.putPreset(this.preset ?? undefined);
    return other;
  }

  /** The viewer's own change, kept. */
  change(layout: Layout): void {
    this.put(layout, null);
    this.memory.set("layout", encode(layout));
  }

  choose(preset: Preset): void {
    this.putPreset(preset);
    this.memory.set("layout", `@${preset.id}`);
  }

  /** Shows the layout of a link; false where it is none. */
  borrow(text: string): boolean {
    const preset = PRESETS.find((p) => text === `@${p.id}`);
    const layout = preset ? undefined : decode(text, this.known);
    if (preset) this.putPreset(preset);
    else if (layout !== undefined && groupsOf(layout).length > 0) this.put(layout, null);
    else return false;
    this.borrowed = true;
    return true;
  }

  keep(): void {
    this.borrowed = false;
    this.memory.set("layout", this.text);
  }

  /** What a link carries. */
  get text(): string {
    return this.preset ? `@${this.preset.id}` : encode(this.layout);
  }

  get named(): readonly Named[] {
    try {
      const list: unknown = JSON.parse(this.memory.get("layouts") ?? "[]");
      return Array.isArray(list) ? list.filter((n): n is Named => isNamed(n) && decode(n.text, this.known) !== undefined).slice(0, MOST_NAMED) : [];
    } catch {
      return []; // somebody else's text: as if there were none
    }
  }

  /** Keeps what is shown under a name; one of the same name is replaced, the oldest makes room. */
  saveAs(name: string): string {
    const clean = name.trim().slice(0, LONGEST_NAME);
    if (clean === "") return "";
    const others = this.named.filter((n) => n.name !== clean).slice(1 - MOST_NAMED);
    this.memory.set("layouts", JSON.stringify([...others, { name: clean, text: encode(this.layout) }]));
    return clean;
  }

  useNamed(name: string): void {
    const found = this.named.find((n) => n.name === name);
    const layout = found && decode(found.text, this.known);
    if (layout !== undefined) this.change(layout);
  }

  forget(name: string): void {
    this.memory.set("layouts", JSON.stringify(this.named.filter((n) => n.name !== name)));
  }

  private put(layout: Layout, preset: Preset | null): void {
    this.layout = layout;
    this.preset = preset;
    this.borrowed = false;
  }

  private putPreset(preset: Preset | undefined): void {
    if (preset) this.put(decode(presetText(preset, this.width), this.known) ?? null, preset);
  }
}

function isNamed(n: unknown): n is Named {
  if (typeof n !== "object" || n === null) return false;
  const { name, text } = n as Record<string, unknown>;
  return typeof name === "string" && name.length > 0 && name.length <= LONGEST_NAME && typeof text === "string";
}

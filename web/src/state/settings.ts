// What a viewer may choose of the page, in one table: the dialog, the command palette and the browser's store are made from it.

import type { Memory } from "./arrangement.ts";

export interface Setting {
  readonly key: string;
  readonly label: string;
  readonly about?: string;
  readonly options: readonly (readonly [value: string, label: string])[]; // the first is what holds until another is chosen
}

export const SETTINGS: readonly Setting[] = [
  { key: "theme", label: "Theme", options: [["system", "As the system"], ["dark", "Dark"], ["light", "Light"]] },
  { key: "palette", label: "Up and down", options: [["classic", "Green and red"], ["colour-blind", "Blue and orange"], ["red-up", "Red up, green down"]] },
  {
    key: "zone", label: "Times", about: "Exchange: New York's for its stocks, UTC for what is traded around the clock.",
    options: [["utc", "UTC"], ["local", "Local"], ["exchange", "Exchange"]],
  },
  { key: "density", label: "Density", options: [["compact", "Compact"], ["comfortable", "Comfortable"]] },
  { key: "motion", label: "Motion", options: [["system", "As the system"], ["reduce", "Reduced"]] },
  { key: "sound", label: "Sound of alerts", options: [["off", "Off"], ["on", "On"]] },
];

const VOLUME = 0.5;

export class Settings {
  private readonly memory: Memory;
  private readonly changed: (key: string) => void;

  constructor(memory: Memory, changed: (key: string) => void) {
    this.memory = memory;
    this.changed = changed;
  }

  get(key: string): string {
    const options = optionsOf(key);
    const kept = this.memory.get(key);
    return options.find(([value]) => value === kept)?.[0] ?? options[0]?.[0] ?? "";
  }

  /** Keeps a choice; anything but one of its options is not taken. */
  set(key: string, value: string): void {
    if (!optionsOf(key).some(([v]) => v === value)) return;
    this.memory.set(key, value);
    this.changed(key);
  }

  next(key: string): void {
    const values = optionsOf(key).map(([value]) => value);
    this.set(key, values[(values.indexOf(this.get(key)) + 1) % values.length] ?? "");
  }

  /** Of the sound of alerts, 0 … 1. */
  get volume(): number {
    const kept = Number(this.memory.get("volume") ?? VOLUME);
    return kept >= 0 && kept <= 1 ? kept : VOLUME;
  }

  set volume(to: number) {
    this.memory.set("volume", String(Math.max(0, Math.min(1, to))));
    this.changed("volume");
  }

  reset(): void {
    for (const { key, options } of SETTINGS) this.set(key, options[0]?.[0] ?? "");
    this.volume = VOLUME;
  }
}

const optionsOf = (key: string): Setting["options"] => SETTINGS.find((s) => s.key === key)?.options ?? [];

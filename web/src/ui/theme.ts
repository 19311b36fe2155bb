// How the page looks: dark or light (the system's wish until the viewer chooses), the palette of up and down, density, motion. All of it
// is attributes of the root that the style sheets read; public/theme.js sets them before the first paint.

import type { Settings } from "../state/settings.ts";

const embedded = /\/embed\//.test(globalThis.location?.pathname ?? ""); // an embedded panel remembers nothing

export function stored(key: string): string | null {
  try {
    return embedded ? null : localStorage.getItem(`tapeline.${key}`);
  } catch {
    return null; // storage may be forbidden; the page works without a memory
  }
}

export function store(key: string, value: string): void {
  if (embedded) return;
  try {
    localStorage.setItem(`tapeline.${key}`, value);
  } catch {
    // as above
  }
}

const light = (): MediaQueryList => matchMedia("(prefers-color-scheme: light)");
const calm = (): MediaQueryList => matchMedia("(prefers-reduced-motion: reduce)");

let row = 19;
const measured = (): number => Number.parseFloat(token("row")) || 19;

export class Look {
  private readonly settings: Settings;
  private readonly changed: () => void;

  constructor(settings: Settings, changed: () => void) {
    this.settings = settings;
    this.changed = changed;
    for (const media of [light(), calm()]) media.addEventListener("change", () => this.apply());
    this.apply();
    row = measured();
  }

  apply(): void {
    const { dataset } = document.documentElement;
    const theme = this.settings.get("theme");
    const motion = this.settings.get("motion") === "reduce" || calm().matches;
    const wanted = {
      theme: theme === "system" ? (light().matches ? "light" : "dark") : theme,
      palette: this.settings.get("palette"), density: this.settings.get("density"), motion: motion ? "reduce" : "full",
    };
    if (Object.entries(wanted).every(([name, to]) => dataset[name] === to)) return;
    Object.assign(dataset, wanted);
    row = measured();
    this.changed();
  }

  /** Dark or light, whatever it was. */
  toggle(): void {
    this.settings.set("theme", document.documentElement.dataset["theme"] === "light" ? "dark" : "light");
  }
}

let lookOf = "";
const tokens = new Map<string, string>(); // of one look; as many as the style sheet has

/** A colour token of the style sheet, for what is drawn on a canvas. Looked up once a look: asking makes the browser work out its styles anew. */
export function token(name: string): string {
  const { theme, palette, density } = document.documentElement.dataset;
  const look = `${theme} ${palette} ${density}`;
  if (look !== lookOf) tokens.clear();
  lookOf = look;
  const known = tokens.get(name);
  if (known !== undefined) return known;
  const value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  if (value !== "") tokens.set(name, value); // else the style sheet is not there yet
  return value;
}

/** The height of a row of the book and of the tape, by the density that was chosen. */
export const rowPx = (): number => row;

export const reducedMotion = (): boolean => document.documentElement.dataset["motion"] === "reduce" || calm().matches;

// Dark or light (the system's wish until the viewer chooses) and the palette of up and down, both remembered.

export const PALETTES = ["classic", "colour-blind", "red-up"] as const;
export type Palette = (typeof PALETTES)[number];

export function stored(key: string): string | null {
  try {
    return localStorage.getItem(`tapeline.${key}`);
  } catch {
    return null; // storage may be forbidden; the page works without a memory
  }
}

export function store(key: string, value: string): void {
  try {
    localStorage.setItem(`tapeline.${key}`, value);
  } catch {
    // as above
  }
}

export class Theme {
  private readonly changed: () => void;

  constructor(changed: () => void) {
    this.changed = changed;
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", (e) => {
      if (stored("theme") === null) this.apply(e.matches ? "light" : "dark");
    });
  }

  get name(): "dark" | "light" {
    return document.documentElement.dataset["theme"] === "light" ? "light" : "dark";
  }

  toggle(): void {
    const next = this.name === "dark" ? "light" : "dark";
    store("theme", next);
    this.apply(next);
  }

  nextPalette(): Palette {
    const now = PALETTES.indexOf(document.documentElement.dataset["palette"] as Palette);
    const next = PALETTES[(now + 1) % PALETTES.length] ?? "classic";
    store("palette", next);
    document.documentElement.dataset["palette"] = next;
    this.changed();
    return next;
  }

  private apply(name: "dark" | "light"): void {
    document.documentElement.dataset["theme"] = name;
    this.changed();
  }
}

/** A colour token of the style sheet, for what is drawn on a canvas. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export const reducedMotion = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

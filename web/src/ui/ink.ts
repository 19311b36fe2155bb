// The colours of a canvas drawing, read once a theme: asking the style sheet for each line would look up styles in the middle of a paint.

import { token } from "./theme.ts";

export interface Ink {
  readonly panel: string;
  readonly ground: string; // of what is not known: not the colour of an empty price
  readonly line: string;
  readonly text: string;
  readonly muted: string;
  readonly up: string;
  readonly down: string;
  readonly warn: string;
  readonly label: string;
  readonly font: string;
}

export function inks(): Ink {
  const light = document.documentElement.dataset["theme"] === "light";
  const [panel, line, text, muted, up, down] = [token("panel"), token("line"), token("text"), token("muted"), token("up"), token("down")];
  return { panel, ground: light ? token("bg") : panel, line, text, muted, up, down, warn: token("warn"), label: token("label"), font: token("font") };
}

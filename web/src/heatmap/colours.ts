// The heatmap's colours: from the ground to the strongest size, lightness always in one direction (up on dark, down on light), so that
// the order can be seen without telling hues apart. Hue goes from blue over teal to yellow (on light: from pale to deep blue), the way that
// all common kinds of colour blindness can follow. Mixed in OKLCH (Björn Ottosson, 2020), where equal steps look equal.

import { SHADES } from "./scale.ts";

type Lch = readonly [lightness: number, chroma: number, hue: number];
export type Rgb = readonly [red: number, green: number, blue: number];

const DARK: readonly Lch[] = [
  [0.155, 0.014, 262], [0.22, 0.045, 264], [0.32, 0.09, 266], [0.43, 0.115, 256], [0.54, 0.115, 232], [0.65, 0.112, 200], [0.76, 0.12, 165],
  [0.86, 0.15, 118], [0.93, 0.155, 102], [0.985, 0.045, 100],
];
const LIGHT: readonly Lch[] = [
  [0.99, 0.002, 250], [0.955, 0.014, 240], [0.9, 0.032, 232], [0.82, 0.06, 228], [0.72, 0.09, 232], [0.61, 0.115, 242], [0.49, 0.135, 256],
  [0.37, 0.125, 270], [0.25, 0.095, 285], [0.15, 0.05, 300],
];

export function mixed(stops: readonly Lch[], share: number): Rgb {
  const at = Math.max(0, Math.min(1, share)) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(at));
  const [a, b] = [stops[i], stops[i + 1]];
  if (!a || !b) return [0, 0, 0];
  const t = at - i;
  return rgb([a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t]);
}

function rgb([l, chroma, hue]: Lch): Rgb {
  const angle = (hue * Math.PI) / 180;
  const [a, b] = [chroma * Math.cos(angle), chroma * Math.sin(angle)];
  const long = (l + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const middle = (l - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const short = (l - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    shown(4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short),
    shown(-1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short),
    shown(-0.0041960863 * long - 0.7034186147 * middle + 1.707614701 * short),
  ];
}

function shown(linear: number): number {
  const x = Math.max(0, Math.min(1, linear));
  return Math.round(255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055));
}

export function shadesOf(theme: "dark" | "light"): Rgb[] {
  const stops = theme === "dark" ? DARK : LIGHT;
  return Array.from({ length: SHADES }, (_, i) => mixed(stops, i / (SHADES - 1)));
}

/** The shades as pixels of an ImageData: red, green, blue, opaque in the machine's own order. */
export function pixelsOf(shades: readonly Rgb[]): Uint32Array {
  const bytes = new Uint8ClampedArray(shades.length * 4);
  shades.forEach((shade, i) => bytes.set([...shade, 255], i * 4));
  return new Uint32Array(bytes.buffer);
}

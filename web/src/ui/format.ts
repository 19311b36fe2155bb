// Numbers and times as text. Prices and sizes take the instrument's decimals; what is unknown is a dash, never 0.

import { type Parts, partsOf, UTC, zoneName } from "./time.ts";

export const DASH = "–";
const MICRO = 1_000_000;

/** Commas in the integer part: 64231.5 → "64,231.50" with two decimals. */
export function fixed(value: number | null | undefined, decimals: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const text = Math.abs(value).toFixed(Math.max(0, Math.min(12, decimals)));
  const dot = text.indexOf(".");
  const whole = dot < 0 ? text : text.slice(0, dot);
  const sign = value < 0 && Number(text) !== 0 ? "−" : "";
  return sign + whole.replace(/\B(?=(\d{3})+$)/g, ",") + (dot < 0 ? "" : text.slice(dot));
}

export function signed(value: number | null | undefined, decimals: number): string {
  const text = fixed(value, decimals);
  return value && value > 0 && /[1-9]/.test(text) ? `+${text}` : text;
}

/** Basis points, with more decimals the fewer they are: 0.001 bps, 0.53 bps, 12.3 bps. */
export function bps(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const magnitude = Math.abs(value);
  return `${fixed(value, magnitude < 0.1 ? 3 : magnitude < 10 ? 2 : 1)} bps`;
}

/** A size with its own decimals while it fits, in thousands or millions when it does not. */
export function size(value: number | null | undefined, decimals: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const magnitude = Math.abs(value);
  if (magnitude >= 1e9) return `${fixed(value / 1e9, 3)}B`;
  if (magnitude >= 1e6) return `${fixed(value / 1e6, 3)}M`;
  if (magnitude >= 1e5) return `${fixed(value / 1e3, 2)}K`;
  const whole = magnitude >= 1 ? Math.floor(Math.log10(magnitude)) + 1 : 1;
  return fixed(value, Math.min(decimals, Math.max(0, 8 - whole)));
}

/** A measured delay: 0.4 s, 12 s. */
export function delay(seconds: number | null | undefined): string {
  return seconds === null || seconds === undefined || seconds >= 10 ? age(seconds) : `${Math.max(0, seconds).toFixed(1)} s`;
}

/** Counts in the health bar: 1,234 · 56.7K · 8.9M. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  if (value >= 1e9) return `${fixed(value / 1e9, 1)}G`;
  if (value >= 1e6) return `${fixed(value / 1e6, 1)}M`;
  if (value >= 1e5) return `${fixed(value / 1e3, 0)}K`;
  return fixed(value, 0);
}

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${fixed(value, unit === 0 || value >= 100 ? 0 : 1)} ${units[unit]}`;
}

/** How long ago, short: <1 s, 4 s, 12 s, 3 m, 2 h, 5 d. */
export function age(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return DASH;
  const s = Math.max(0, seconds);
  if (s < 1) return "<1 s"; // tenths would flicker all over the page and tell nothing
  if (s < 120) return `${Math.floor(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} m`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

const two = (n: number): string => (n < 10 ? `0${n}` : String(n));

let zone = UTC;

/** The zone that all times of the page are in, from now on; whether that is another one. */
export function useZone(name: string): boolean {
  const other = name !== zone;
  zone = name;
  return other;
}

/** Its name at a time, to stand beside the time: UTC, EDT. */
export const zoneAt = (us?: number): string => zoneName(us || Date.now() * 1000, zone);

/** The date and time on the page's clock. */
export const dateOf = (us: number): Parts => partsOf(us, zone);

/** 12:01:33 of microseconds in the page's zone; with `millis` 12:01:33.042. */
export function clock(us: number | null | undefined, millis = false): string {
  if (!us) return DASH;
  const t = partsOf(us, zone);
  const base = `${two(t.hour)}:${two(t.minute)}:${two(t.second)}`;
  return millis ? `${base}.${String(t.millis).padStart(3, "0")}` : base;
}

/** 2026-11-21, in the page's zone. */
export function day(us: number): string {
  const t = partsOf(us, zone);
  return `${String(t.year).padStart(4, "0")}-${two(t.month)}-${two(t.day)}`;
}

/** Decimals of a tick-sized number, for when the server does not know the instrument's: 0.001 → 3, at most 8. */
export function decimalsOf(value: number): number {
  const text = String(value);
  const exponent = /e-(\d+)$/.exec(text);
  if (exponent) return Math.min(8, Number(exponent[1]) + (text.split("e")[0]?.split(".")[1]?.length ?? 0));
  return Math.min(8, text.split(".")[1]?.length ?? 0);
}

export const seconds = (us: number): number => us / MICRO;

export function symbolOf(id: string): string {
  return id.slice(id.indexOf(":") + 1);
}

export function venueOf(id: string): string {
  return id.slice(0, Math.max(0, id.indexOf(":")));
}

/** Whether no real market is behind a venue's label: `sim`, `sim-kraken`. */
export function isSimulated(venue: string): boolean {
  return venue === "sim" || venue.startsWith("sim-");
}

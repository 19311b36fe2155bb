// Times in a zone. Pure: the zone is always said. Daylight saving is the browser's own table (Intl), never a rule of ours.
//
// Zones change their distance to UTC on whole quarters of an hour only (since 1972, everywhere), so it is asked once a quarter and kept:
// a list of a thousand times asks once.

export const ZONES = ["utc", "local", "exchange"] as const;
export type ZoneChoice = (typeof ZONES)[number];
export const UTC = "UTC";

const QUARTER_MS = 900_000;
const MOST_KEPT = 512;

export interface Parts {
  readonly year: number;
  readonly month: number; // 1 … 12
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly millis: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();
const offsets = new Map<string, number>();

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    const numbers = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" } as const;
    format = new Intl.DateTimeFormat("en-US", { timeZone: zone, hourCycle: "h23", calendar: "gregory", numberingSystem: "latn", ...numbers });
    if (formats.size >= 64) formats.clear();
    formats.set(zone, format);
  }
  return format;
}

export function isZone(zone: string): boolean {
  try {
    formatOf(zone);
    return true;
  } catch {
    return false; // RangeError: a name that the browser does not know
  }
}

/** How far a zone's clocks are ahead of UTC, in milliseconds. */
export function offsetMs(ms: number, zone: string): number {
  if (zone === UTC) return 0;
  const quarter = Math.floor(ms / QUARTER_MS);
  const key = `${zone} ${quarter}`;
  const kept = offsets.get(key);
  if (kept !== undefined) return kept;
  const at = quarter * QUARTER_MS;
  const p = Object.fromEntries(formatOf(zone).formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  const offset = Date.UTC(p["year"] ?? 0, (p["month"] ?? 1) - 1, p["day"], p["hour"], p["minute"], p["second"]) - at;
  if (offsets.size >= MOST_KEPT) offsets.clear();
  offsets.set(key, offset);
  return offset;
}

/** The date and time on a clock in that zone, of microseconds. */
export function partsOf(us: number, zone: string): Parts {
  const ms = Math.floor(us / 1000);
  const d = new Date(ms + offsetMs(ms, zone));
  return {
    year: d.getUTCFullYear(), month: d.getUTCMonth() + 1, day: d.getUTCDate(),
    hour: d.getUTCHours(), minute: d.getUTCMinutes(), second: d.getUTCSeconds(), millis: d.getUTCMilliseconds(),
  };
}

/** What people call it at that time: UTC, EST, EDT; where English has no short name UTC+9. */
export function zoneName(us: number, zone: string): string {
  if (zone === UTC) return UTC;
  const ms = us / 1000;
  const names = ["en-US", "en-GB"].map((locale) => shortName(ms, zone, locale));
  const word = names.find((n) => /^[A-Z]{2,5}$/.test(n) && n !== "GMT");
  if (word) return word;
  const minutes = Math.round(offsetMs(ms, zone) / 60_000);
  if (minutes === 0) return names.includes("GMT") ? "GMT" : UTC;
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}

const names = new Map<string, Intl.DateTimeFormat>();

function shortName(ms: number, zone: string, locale: string): string {
  const key = `${locale} ${zone}`;
  let format = names.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(locale, { timeZone: zone, timeZoneName: "short" });
    if (names.size >= 64) names.clear();
    names.set(key, format);
  }
  return format.formatToParts(ms).find((p) => p.type === "timeZoneName")?.value ?? "";
}

export const localZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || UTC;

export function zoneFor(choice: ZoneChoice, instrument: string): string {
  if (choice === "utc") return UTC;
  return choice === "local" ? localZone() : exchangeZone(instrument);
}

const NEW_YORK = "America/New_York";
const STOCKS = new Set(["finnhub", "yahoo"]);

/** By the endings of Yahoo's symbols. */
const SUFFIXES: Readonly<Record<string, string>> = {
  L: "Europe/London", IL: "Europe/London", DE: "Europe/Berlin", F: "Europe/Berlin", PA: "Europe/Paris", AS: "Europe/Amsterdam", BR: "Europe/Brussels",
  LS: "Europe/Lisbon", MI: "Europe/Rome", MC: "Europe/Madrid", SW: "Europe/Zurich", VI: "Europe/Vienna", ST: "Europe/Stockholm", CO: "Europe/Copenhagen",
  HE: "Europe/Helsinki", OL: "Europe/Oslo", WA: "Europe/Warsaw", IS: "Europe/Istanbul", JO: "Africa/Johannesburg", TA: "Asia/Jerusalem",
  TO: "America/Toronto", V: "America/Vancouver", SA: "America/Sao_Paulo", MX: "America/Mexico_City", T: "Asia/Tokyo", HK: "Asia/Hong_Kong",
  SS: "Asia/Shanghai", SZ: "Asia/Shanghai", TW: "Asia/Taipei", KS: "Asia/Seoul", KQ: "Asia/Seoul", AX: "Australia/Sydney", NZ: "Pacific/Auckland",
  SI: "Asia/Singapore", NS: "Asia/Kolkata", BO: "Asia/Kolkata",
};

/** Where an instrument is traded: a stock's exchange; UTC for what is traded around the clock. */
export function exchangeZone(instrument: string): string {
  const [label = "", symbol = ""] = [instrument.slice(0, instrument.indexOf(":")), instrument.slice(instrument.indexOf(":") + 1)];
  if (!STOCKS.has(label.replace(/^sim-/, "")) || symbol.includes("-")) return UTC;
  const dot = symbol.lastIndexOf(".");
  return (dot > 0 && SUFFIXES[symbol.slice(dot + 1)]) || NEW_YORK; // BRK.B is a class of shares, not an exchange
}

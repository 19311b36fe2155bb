// What the page says about itself. Pure, so that each state can be tested.
//
// The first that holds, from worst to best:
//   offline        the server answers, but turns this page away: its recording was closed, or its token is another now
//   connecting     never reached the server yet
//   offline        nothing came from the server for OFFLINE_MS and more
//   reconnecting   the socket is closed, or open and silent for SILENT_MS (status comes each second), or no venue is connected
//   connecting     the server is there, but nothing of any instrument has come yet: not live, whatever the mode will be
//   failing        the tape cannot be written: what is seen is not being kept
//   stale          no instrument is live, of those whose market is open
//   closed         all markets are closed: prices are the last of their session, and right
//   paused · replay · simulated · live
//
// `dead` means that what is on the page may be old: values are dimmed and never called live. The market's mode is said
// separately and always (`mode`), so that trouble never hides that the data is simulated or replayed.

import type { FeedState, InstrumentStatus, Mode, Status } from "../api/types.ts";
import type { Refusal } from "../api/rest.ts";
import type { Link } from "../api/socket.ts";
import { age } from "../ui/format.ts";

export const SILENT_MS = 3000;
export const OFFLINE_MS = 10_000;

export type Kind = "connecting" | "offline" | "reconnecting" | "failing" | "stale" | "closed" | "paused" | "replay" | "simulated" | "live";

export interface Health {
  readonly kind: Kind;
  readonly label: string;
  readonly detail: string;
  readonly dead: boolean;
  readonly mode: Mode | null;
}

export interface HealthInput {
  readonly link: Link;
  readonly everOpen: boolean;
  readonly silentMs: number;
  readonly retryInMs: number | null;
  readonly status: Status | null;
  readonly refused?: Refusal | null;
}

const REFUSED: Readonly<Record<Refusal, readonly [string, string]>> = {
  closed: ["REPLAY CLOSED", "this recording is not open any more: nobody asked for it for a while, somebody closed it, or the server began anew"],
  token: ["SIGN IN", "the server does not take this page's token (any more): what is shown is old"],
};

export function health(input: HealthInput): Health {
  const { status } = input;
  const mode = status?.mode ?? null;
  return linkHealth(input, mode) ?? (status ? feedHealth(status) : waiting(mode));
}

function waiting(mode: Mode | null): Health {
  return { kind: "connecting", label: "CONNECTING", detail: "waiting for the server's first status", dead: true, mode };
}

function linkHealth(input: HealthInput, mode: Mode | null): Health | null {
  if (input.refused && input.link !== "open") {
    const [label, detail] = REFUSED[input.refused];
    return { kind: "offline", label, detail, dead: true, mode };
  }
  const silent = input.silentMs > SILENT_MS;
  if (input.link === "open" && !silent) return null;
  const retry = input.retryInMs === null ? "trying now" : `next try in ${age(input.retryInMs / 1000)}`;
  if (input.status === null) {
    const detail = input.link === "open" ? "waiting for the server's first status" : `no answer from Tapeline's server, ${retry}`;
    if (input.silentMs < OFFLINE_MS) return { kind: "connecting", label: "CONNECTING", detail, dead: true, mode };
    return { kind: "offline", label: "OFFLINE", detail, dead: true, mode };
  }
  const since = `nothing from the server for ${age(input.silentMs / 1000)}: the values below are old`;
  const detail = input.link === "open" ? since : `${since} · ${retry}`;
  const offline = input.silentMs >= OFFLINE_MS;
  return { kind: offline ? "offline" : "reconnecting", label: offline ? "OFFLINE" : "RECONNECTING", detail, dead: true, mode };
}

function feedHealth(status: Status): Health {
  const { mode } = status;
  const lost = status.connections.filter((c) => c.state !== "up");
  const base = { dead: false, mode };
  if (status.tape.state === "failing") {
    const detail = `${status.tape.reason || "the tape cannot be written"}: what you see is not being kept`;
    return { ...base, kind: "failing", label: "TAPE FAILING", detail };
  }
  if (status.instruments.length === 0 && mode !== "replay") {
    const names = [...new Set(status.connections.map((c) => c.venue))].join(", ") || "the venues";
    return { ...base, kind: "connecting", label: "CONNECTING", detail: `nothing from ${names} yet`, dead: true };
  }
  if (lost.length > 0 && lost.length === status.connections.length) {
    const names = [...new Set(lost.map((c) => c.venue))].join(", ");
    const tries = Math.max(...lost.map((c) => c.attempts));
    const since = Math.max(...lost.map((c) => c.since));
    const detail = `no connection to ${names} for ${age((status.now - since) / 1e6)}${tries > 1 ? `, attempt ${tries}` : ""}`;
    return { ...base, kind: "reconnecting", label: "RECONNECTING", detail, dead: true };
  }
  const open = status.instruments.filter((i) => i.state !== "closed");
  const troubled = open.filter((i) => i.state !== "live");
  if (open.length === 0 && mode === "live") {
    return { ...base, kind: "closed", label: "CLOSED", detail: "all markets are closed: what you see is the last of their session" };
  }
  if (troubled.length > 0 && troubled.length === open.length) {
    const dead = troubled.every((i) => i.state !== "resyncing");
    return { ...base, kind: "stale", label: "STALE", detail: describe(troubled, status), dead };
  }
  return { ...base, ...mainState(status), detail: remarks(status, troubled) };
}

function mainState(status: Status): { kind: Kind; label: string } {
  if (status.mode === "replay" && status.playing === false && !status.finished) return { kind: "paused", label: "PAUSED" };
  if (status.mode === "replay") return { kind: "replay", label: `REPLAY ${paceText(status)}` };
  return status.mode === "simulated" ? { kind: "simulated", label: "SIMULATED" } : { kind: "live", label: "LIVE" };
}

/** What a replay does now. */
export function paceText(status: Status): string {
  const { replay } = status;
  if (replay?.seeking) return seekingText(replay.progress).toUpperCase();
  if (replay?.finished) return "ENDED";
  return replay && !replay.playing ? "PAUSED" : speedText(status.speed);
}

/** What a seek says while it is on its way: its part only where it takes long enough to be read. */
export function seekingText(progress: number | null | undefined): string {
  return progress ? `seeking, ${Math.floor(100 * progress)} %` : "seeking";
}

export function speedText(speed: number | null): string {
  return speed === null || !Number.isFinite(speed) || speed === 0 ? "MAX" : `×${speed}`;
}

function remarks(status: Status, troubled: readonly InstrumentStatus[]): string {
  const failing = status.sinks.filter((s) => s.error);
  const parts = [];
  if (status.finished) parts.push("the recording has ended");
  if (troubled.length > 0) parts.push(describe(troubled, status));
  if (failing.length > 0) parts.push(failing.map((s) => `${s.name}: ${s.error}`).join(" · "));
  if (status.reason && status.mode !== "simulated") parts.push(status.reason);
  return parts.join(" · ");
}

function describe(troubled: readonly InstrumentStatus[], status: Status): string {
  const first = troubled[0];
  if (!first) return "";
  const what = `${first.id} ${troubleText(first, status.now)}`;
  return troubled.length === 1 ? what : `${troubled.length} of ${status.instruments.length} instruments not live: ${what}`;
}

const TROUBLE: Readonly<Record<FeedState, string>> = {
  live: "",
  closed: "closed",
  stale: "stale",
  resyncing: "resynchronising",
  waiting: "waiting for its first data",
  disconnected: "disconnected",
};

/** The kinds of status event that explain a state: the last one said may be about something else. */
const EXPLAINS: Readonly<Record<FeedState, readonly string[]>> = {
  live: [],
  closed: [],
  stale: ["stale"],
  resyncing: ["gap", "crossed", "resyncing", "stale"],
  waiting: ["rejected"],
  disconnected: ["disconnected"],
};

/** Why an instrument is not live; empty when it is. */
export function troubleText(info: InstrumentStatus | undefined, now: number): string {
  if (!info || info.state === "live") return "";
  const said = info.last_status;
  const reason = said && EXPLAINS[info.state].includes(said.kind) ? said.reason : "";
  if (info.state === "closed") return info.last_event ? `closed, last ${age((now - info.last_event) / 1e6)} ago` : "closed";
  const since = info.state === "stale" && info.last_event ? `, last event ${age((now - info.last_event) / 1e6)} ago` : "";
  return TROUBLE[info.state] + since + (reason ? ` (${reason})` : "");
}

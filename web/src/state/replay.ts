// A replay as the page knows it: where it stands, how it goes on, and its timeline. Pure but for the clock and what is asked.
//
// The status tells the instant once a second; between two words it goes on at the replay's speed, so that the head moves evenly. What the
// viewer wants is shown at once (`wanted`) and sent a moment after the last key, so that a held key is one seek and not fifty.

import { control, type Gap, isBeside, type ReplayState, type Timeline, timeline, type Wish } from "../api/replay.ts";
import type { Status } from "../api/types.ts";
import { notice } from "../ui/notice.ts";
import { panelAction, TIMELINE_KEYS } from "./panelkeys.ts";
import type { Session } from "./session.ts";

export const SPEEDS: readonly (number | "max")[] = [0.1, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, "max"];
export const BUCKETS = 400;
const SECOND = 1_000_000;
const CALM_MS = 180;
const AGAIN_MS = 60_000;
const AGAIN_FIRST_MS = 2000; // the lake may have been too busy to tell the volume; each time it is asked again later

/** Where an instant lies in a span, 0 to 1. */
export const placeOf = (ts: number, from: number, to: number): number => (to > from ? Math.min(1, Math.max(0, (ts - from) / (to - from))) : 0);

/** The instant at a place. */
export const instantAt = (place: number, from: number, to: number): number => Math.round(from + Math.min(1, Math.max(0, place)) * (to - from));

/** What a key on the timeline does: the instant it goes to; null where it is no key of ours. */
export function keyTarget(key: string, shift: boolean, now: number, from: number, to: number): number | null {
  const step = shift ? 60 * SECOND : 5 * SECOND;
  const page = Math.max(step, Math.round((to - from) / 10));
  const action = panelAction(TIMELINE_KEYS, { key, shiftKey: shift });
  if (action === undefined) return null;
  const at = { back: now - step, on: now + step, farBack: now - page, farOn: now + page, begin: from, end: to }[action];
  return Math.min(to, Math.max(from, at));
}

/** Gaps within `reach` of an instant, the nearest first. */
export function gapsNear(gaps: readonly Gap[], ts: number, reach: number): readonly Gap[] {
  return gaps.filter((gap) => Math.abs(gap.ts - ts) <= reach).sort((a, b) => Math.abs(a.ts - ts) - Math.abs(b.ts - ts));
}

export const gapText = (gap: Gap): string => [gap.kind, gap.instrument, gap.reason].filter(Boolean).join(" · ");

export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly frames: number;
  readonly volume: number | null;
}

/** The timeline in few words: at most `most` stretches of the same length. */
export function stretches(line: Timeline, most: number): readonly Stretch[] {
  const each = Math.ceil(line.frames.length / most);
  const found: Stretch[] = [];
  for (let i = 0; i < line.frames.length; i += each) {
    const volumes = line.volume.slice(i, i + each).filter((v) => v !== null);
    found.push({
      from: line.from + i * line.bucket,
      to: Math.min(line.to, line.from + (i + each) * line.bucket),
      frames: line.frames.slice(i, i + each).reduce((a, b) => a + b, 0),
      volume: volumes.length > 0 ? volumes.reduce((a, b) => a + b, 0) : null,
    });
  }
  return found;
}

export class Replay {
  line: Timeline | null = null;
  readonly beside = isBeside;
  wanted: number | null = null; // sought, and not there yet
  private readonly session: Session;
  private told: { readonly state: ReplayState; readonly at: number } | null = null;
  private seen: Status | null = null;
  private lineOf = "";
  private lineAt = 0;
  private lineTries = 0;
  private sending: number | undefined; // while what is wanted has not been sent

  constructor(session: Session) {
    this.session = session;
  }

  /** Null where no recording is played. */
  get state(): ReplayState | null {
    const status = this.session.status;
    if (status !== this.seen) {
      this.seen = status;
      if (status?.replay) this.hear(status.replay);
      else this.told = null;
    }
    return this.told?.state ?? null;
  }

  /** The instant that is shown: the one that is wanted, else where it stands by now. */
  get now(): number {
    const { state } = this;
    if (!state || !this.told) return 0;
    if (this.wanted !== null) return this.wanted;
    const moves = state.playing && !state.seeking && state.speed !== null && !this.session.health.dead;
    const passed = moves ? (performance.now() - this.told.at) * 1000 * (state.speed ?? 0) : 0;
    return Math.min(Math.max(state.last, state.now), state.now + Math.min(passed, 1.5 * SECOND * (state.speed ?? 0)));
  }

  get last(): number {
    return Math.max(this.state?.last ?? 0, this.line?.to ?? 0);
  }

  toggle(): void {
    const { state } = this;
    if (!state) return;
    if (state.finished) void this.ask({ at: state.first, playing: true });
    else void this.ask({ playing: !state.playing });
  }

  setSpeed(speed: number | "max"): void {
    void this.ask({ speed });
  }

  step(): void {
    if (this.state && !this.state.finished) void this.ask({ step: "second" });
  }

  /** Shown at once, sent when the viewer has come to rest. */
  seek(at: number): void {
    this.wanted = Math.round(at);
    this.session.scheduler.touch("clock");
    window.clearTimeout(this.sending);
    this.sending = window.setTimeout(() => void this.send(), CALM_MS);
  }

  private async send(): Promise<void> {
    this.sending = undefined;
    const at = this.wanted;
    if (at !== null) await this.ask({ at });
    if (at === this.wanted && !this.told?.state.seeking) this.wanted = null;
  }

  private async ask(wish: Wish): Promise<void> {
    const answer = await control(wish);
    if (typeof answer === "string") {
      this.wanted = null;
      notice(answer);
    } else this.hear(answer);
    this.session.scheduler.touch("status", "clock");
  }

  private hear(state: ReplayState): void {
    this.told = { state, at: performance.now() };
    if (this.sending === undefined && !state.seeking && this.wanted !== null && Math.abs(state.now - this.wanted) < SECOND) this.wanted = null;
    this.load(state);
  }

  /** The timeline, once a session, and now and then where it may be another by now. */
  private load(state: ReplayState): void {
    const whole = this.line !== null && this.line.volume.some((v) => v !== null) && this.line.to >= state.now;
    const another = this.lineOf !== state.session;
    if (!another && (whole || performance.now() - this.lineAt < Math.min(AGAIN_MS, AGAIN_FIRST_MS * 2 ** this.lineTries))) return;
    if (another) this.line = null;
    this.lineTries = another ? 0 : this.lineTries + 1;
    this.lineOf = state.session;
    this.lineAt = performance.now();
    void timeline(BUCKETS).then((line) => {
      if (typeof line === "string" || this.lineOf !== state.session) return;
      this.line = line;
      this.session.scheduler.touch("status", "clock");
    });
  }
}

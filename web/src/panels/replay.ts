// The bar of a replay: play, pause, step, speed, and the timeline that is sought by pointer and keys.

import "../styles/replay.css";
import { seekingText, speedText } from "../state/health.ts";
import { BUCKETS, gapsNear, gapText, instantAt, keyTarget, placeOf, type Replay, SPEEDS, stretches } from "../state/replay.ts";
import type { Session } from "../state/session.ts";
import { h, icon, mark, show, Value } from "../ui/dom.ts";
import { clock, count, day, fixed, zoneAt } from "../ui/format.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";
import { drawTimeline } from "./timeline.ts";

const PLAY = "M7 5l12 7-12 7z";
const PAUSE = "M8 5v14M16 5v14";
const STEP = "M6 5l9 7-9 7zM18 5v14";
const NEAR_PX = 5;
const MOST_SAID = 3;

export class ReplayBar implements Panel {
  readonly topics: readonly Topic[] = ["status", "link", "clock", "theme", "zone"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly replay: Replay;
  private readonly play = h("button", { type: "button", class: "icon replay-play", "data-testid": "replay-play" });
  private readonly step = h("button", { type: "button", class: "icon", "aria-label": "Step one second (.)", title: "Step one second (.)", "data-testid": "replay-step" }, icon(STEP));
  private readonly speed = h("select", { class: "replay-speed", "aria-label": "Speed", "data-testid": "replay-speed" }, ...SPEEDS.map((s) => h("option", { value: String(s) }, s === "max" ? "max" : speedText(s))));
  private readonly time = new Value(h("strong", { class: "replay-time num", "data-testid": "replay-time" }));
  private readonly date = new Value(h("span", { class: "replay-date" }));
  private readonly end = new Value(h("span", { class: "replay-end num" }));
  private readonly canvas = h("canvas", { class: "replay-canvas", "aria-hidden": "true" });
  private readonly tip = h("div", { class: "replay-tip", hidden: true, "aria-hidden": "true", "data-testid": "replay-tip" });
  private readonly slider = h(
    "div", { class: "replay-line", role: "slider", tabindex: 0, "aria-label": "Instant of the recording", "aria-orientation": "horizontal", "data-testid": "replay-line" },
    this.canvas, this.tip,
  );
  private readonly twin = h("table", { class: "sr", "data-testid": "replay-twin" });
  private hover: number | null = null; // the instant under the pointer
  private dragging = false;
  private twinOf: unknown = null;
  private face = "";

  constructor(session: Session, replay: Replay, openRecordings: () => void) {
    this.session = session;
    this.replay = replay;
    const recordings = h("button", { type: "button", class: "small", title: "Recordings (r)" }, "Recordings");
    recordings.addEventListener("click", openRecordings);
    const back = h("a", { class: "replay-back", href: "/", "data-testid": "back-to-live" }, "Back to live");
    show(back, replay.beside);
    this.el = h(
      "section", { class: "replay", "aria-label": "Replay", hidden: true, "data-testid": "replay-bar" },
      h("div", { class: "replay-buttons" }, this.play, this.step, this.speed),
      h("div", { class: "replay-clock" }, this.time.el, this.date.el),
      this.slider, h("div", { class: "replay-twin" }, this.twin), this.end.el,
      h("div", { class: "replay-ways" }, recordings, back),
    );
    this.listen();
  }

  private listen(): void {
    this.play.addEventListener("click", () => this.replay.toggle());
    this.step.addEventListener("click", () => this.replay.step());
    this.speed.addEventListener("change", () => this.replay.setSpeed(this.speed.value === "max" ? "max" : Number(this.speed.value)));
    const { slider } = this;
    slider.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.dragging = true;
      slider.setPointerCapture(event.pointerId);
      this.point(event);
    });
    slider.addEventListener("pointermove", (event) => this.point(event));
    slider.addEventListener("pointerup", () => {
      if (this.dragging && this.hover !== null) this.replay.seek(this.hover);
      this.dragging = false;
    });
    slider.addEventListener("pointercancel", () => (this.dragging = false));
    slider.addEventListener("pointerleave", () => {
      if (!this.dragging) this.hover = null;
      this.session.scheduler.touch("clock");
    });
    slider.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.session.scheduler.touch("clock")).observe(slider);
  }

  private key(event: KeyboardEvent): void {
    const { state } = this.replay;
    if (!state || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = keyTarget(event.key, event.shiftKey, this.replay.now, state.first, this.replay.last);
    if (at === null) return;
    event.preventDefault();
    this.replay.seek(at);
  }

  private point(event: PointerEvent): void {
    const { state } = this.replay;
    const box = this.slider.getBoundingClientRect();
    if (!state || box.width === 0) return;
    this.hover = instantAt((event.clientX - box.left) / box.width, state.first, this.replay.last);
    this.session.scheduler.touch("clock");
  }

  render(dirty: ReadonlySet<Topic>): void {
    const { state } = this.replay;
    show(this.el, state !== null);
    if (!state) return;
    const { now, last } = this.replay;
    const shown = this.dragging && this.hover !== null ? this.hover : now;
    this.renderButtons(state.playing, state.speed);
    mark(this.el, "seeking", String(state.seeking || this.replay.wanted !== null));
    this.time.set(clock(shown, state.speed !== null && state.speed < 1), Math.round(shown));
    this.date.set(`${day(shown)} ${zoneAt(shown)}`);
    this.end.set(`−${lengthText(Math.max(0, last - shown))}`);
    const pace = state.seeking ? seekingText(state.progress) : state.finished ? "at the end" : state.playing ? `playing, ${speedText(state.speed)}` : "paused";
    const { slider } = this;
    const aria: Readonly<Record<string, string | number>> = {
      "aria-valuemin": Math.round(state.first / 1e6), "aria-valuemax": Math.round(last / 1e6), "aria-valuenow": Math.round(shown / 1e6),
      "aria-valuetext": `${day(shown)} ${clock(shown)} ${zoneAt(shown)}, ${pace}`,
    };
    for (const [name, to] of Object.entries(aria)) if (slider.getAttribute(name) !== String(to)) slider.setAttribute(name, String(to));
    drawTimeline(this.canvas, { line: this.replay.line, from: state.first, to: last, now: shown, hover: this.hover });
    this.renderTip(state.first, last);
    if (this.twinOf !== this.replay.line || dirty.has("zone")) this.renderTwin();
  }

  private renderButtons(playing: boolean, speed: number | null): void {
    const face = playing ? "Pause (Space)" : "Play (Space)";
    if (face !== this.face) {
      this.face = face;
      this.play.replaceChildren(icon(playing ? PAUSE : PLAY));
      this.play.title = face;
      this.play.setAttribute("aria-label", face);
    }
    const value = speed === null ? "max" : String(speed);
    if (document.activeElement === this.speed || this.speed.value === value) return;
    if (![...this.speed.options].some((option) => option.value === value)) this.speed.append(h("option", { value }, speedText(speed)));
    this.speed.value = value;
  }

  private renderTip(from: number, to: number): void {
    show(this.tip, this.hover !== null);
    if (this.hover === null) return;
    const { line } = this.replay;
    const width = this.slider.clientWidth;
    const at = Math.min(BUCKETS - 1, Math.floor((this.hover - from) / (line?.bucket ?? Infinity)));
    const volume = line?.volume[at] ?? null;
    const said = line ? `${count(line.frames[at] ?? 0)} messages${volume === null ? "" : ` · ${fixed(volume, 0)} traded`}` : "";
    const near = line ? gapsNear(line.gaps, this.hover, ((to - from) * NEAR_PX) / Math.max(1, width)) : [];
    const words = near.slice(0, MOST_SAID).map(gapText);
    if (near.length > MOST_SAID) words.push(`and ${near.length - MOST_SAID} more`);
    this.tip.replaceChildren(h("b", { class: "num" }, clock(this.hover)), h("span", {}, said), ...words.map((text) => h("span", { class: "replay-gap" }, `⚠ ${text}`)));
    const place = placeOf(this.hover, from, to) * width;
    const half = this.tip.offsetWidth / 2;
    this.tip.style.setProperty("--at", `${Math.round(Math.min(width - half, Math.max(half, place)))}px`);
  }

  /** The same in words, for who cannot see it. */
  private renderTwin(): void {
    const { line } = this.replay;
    this.twinOf = line;
    if (!line) return;
    const row = (cells: readonly string[], tag: "td" | "th" = "td"): HTMLElement => h("tr", {}, ...cells.map((text) => h(tag, {}, text)));
    const told = stretches(line, 12).map((s) => row([`${clock(s.from)} to ${clock(s.to)}`, count(s.frames), s.volume === null ? "not known" : fixed(s.volume, 0)]));
    const gaps = line.gaps.map((gap) => row([clock(gap.ts), gap.kind, gapText(gap)]));
    this.twin.replaceChildren(h("caption", {}, "The recording: messages and turnover, then gaps"), row(["Time", "Messages", "Traded"], "th"), ...told, ...gaps);
  }
}

/** 0:07, 12:33, 1:02:03, 3 d 04:05. */
export function lengthText(us: number): string {
  const s = Math.floor(us / 1e6);
  const two = (n: number): string => String(n).padStart(2, "0");
  if (s >= 86_400) return `${Math.floor(s / 86_400)} d ${two(Math.floor((s % 86_400) / 3600))}:${two(Math.floor((s % 3600) / 60))}`;
  const minutes = Math.floor(s / 60);
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(minutes % 60)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

// Alerts as they are raised: small cards in the corner, said aloud by screen readers. MOST stand there, the newest below; how many more
// there are is said. A critical one stays until it is sent away; others go after a while, but none while the pointer or the focus is on
// any. Escape sends the newest away, and all of them with Shift.

import type { AlertEvent } from "../api/alerts.ts";
import { alertValue, SEVERITY_SIGNS, severityOf } from "../state/alerts.ts";
import { h, show } from "../ui/dom.ts";
import { stored } from "../ui/theme.ts";
import { clock } from "../ui/format.ts";

const MOST = 3;
const STAY_MS = 12_000;

export class Toasts {
  readonly el = h("div", { class: "toasts", role: "region", "aria-label": "Alerts raised just now", "data-testid": "toasts" });
  private readonly polite = h("div", { class: "sr", "aria-live": "assertive" });
  private readonly more = h("button", { type: "button", class: "toasts-more", hidden: true, "data-testid": "toasts-more" });
  private readonly open: () => void;
  private pushed = 0; // cards that had to go for newer ones, since nothing stood here

  constructor(open: () => void) {
    this.open = open;
    this.el.append(this.polite, this.more);
    this.more.addEventListener("click", () => this.open());
    document.addEventListener("keydown", (event) => this.key(event));
  }

  show(alert: AlertEvent): void {
    const severity = severityOf(alert.severity);
    const simulated = alert.flags.includes("SIMULATED");
    const close = h("button", { type: "button", class: "icon", "aria-label": "Dismiss" }, "✕");
    const more = h("button", { type: "button", class: "toast-body" }, h("b", {}, alert.rule), " ", h("span", {}, alert.text));
    const head = h(
      "div", { class: "toast-head" }, h("span", { class: "severity" }, `${SEVERITY_SIGNS[severity]} ${severity}`),
      simulated ? h("i", { class: "venue", "data-venue": "sim" }, "SIMULATED") : null,
      h("time", { class: "num" }, clock(alert.ts_event)), close,
    );
    const toast = h("div", { class: "toast", "data-severity": severity, "data-testid": "toast" }, head, more);
    more.addEventListener("click", () => this.open());
    close.addEventListener("click", () => this.dismiss(toast));
    this.el.append(toast);
    while (this.cards.length > MOST) {
      this.cards[0]?.remove();
      this.pushed++;
    }
    this.count();
    this.polite.textContent = `${severity} alert${simulated ? ", simulated market" : ""}: ${alert.rule}. ${alert.text} ${alertValue(alert.value)}`;
    if (severity !== "critical") this.fade(toast);
  }

  private get cards(): HTMLElement[] {
    return [...this.el.querySelectorAll<HTMLElement>(".toast")];
  }

  private dismiss(toast: HTMLElement): void {
    toast.remove();
    this.count();
  }

  private count(): void {
    if (this.cards.length === 0) this.pushed = 0;
    this.more.textContent = `${this.pushed} more`;
    show(this.more, this.pushed > 0);
  }

  private key(event: KeyboardEvent): void {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open], [popover]:popover-open")) return;
    const newest = this.cards.at(-1);
    if (!newest) return;
    if (event.shiftKey) for (const card of this.cards) card.remove();
    this.dismiss(newest);
  }

  private fade(toast: HTMLElement): void {
    window.setTimeout(() => {
      if (this.el.matches(":hover, :focus-within")) this.fade(toast);
      else this.dismiss(toast);
    }, STAY_MS);
  }
}

/** A notice of the browser, where the viewer wanted them and does not look at the page. One a rule: a newer one takes its place. */
export function notice(alert: AlertEvent): void {
  if (!document.hidden || stored("notices") !== "on" || !("Notification" in window) || Notification.permission !== "granted") return;
  const simulated = alert.flags.includes("SIMULATED") ? "SIMULATED: " : "";
  const shown = new Notification(`${SEVERITY_SIGNS[severityOf(alert.severity)]} ${simulated}${alert.rule}`, { body: alert.text, tag: alert.rule });
  shown.addEventListener("click", () => window.focus());
}

let sounding = false;

/** Two short tones, made here: no file, no permission beyond the click that switched it on. One at a time, however many alerts come. */
export function chime(severity: string, volume = 0.5): void {
  if (sounding || volume <= 0) return;
  sounding = true;
  const audio = new AudioContext();
  const tones = severity === "critical" ? [880, 1175, 880, 1175] : [660, 880];
  tones.forEach((frequency, i) => {
    const oscillator = audio.createOscillator();
    const gain = audio.createGain();
    const at = audio.currentTime + i * 0.16;
    oscillator.frequency.value = frequency;
    gain.gain.setValueAtTime(0.0001, at);
    gain.gain.exponentialRampToValueAtTime(0.24 * volume, at + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.15);
    oscillator.connect(gain).connect(audio.destination);
    oscillator.start(at);
    oscillator.stop(at + 0.16);
  });
  window.setTimeout(() => {
    sounding = false;
    void audio.close();
  }, tones.length * 160 + 300);
}

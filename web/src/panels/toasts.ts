// Alerts as they are raised: a card in the corner, in front of everything, said aloud by screen readers. A critical one stays until
// it is sent away; others go after a while, but never while the pointer or the focus is on them.

import type { AlertEvent } from "../api/alerts.ts";
import { alertValue, SEVERITY_SIGNS, severityOf } from "../state/alerts.ts";
import { h } from "../ui/dom.ts";
import { clock } from "../ui/format.ts";

const MOST = 4;
const STAY_MS = 12_000;

export class Toasts {
  readonly el = h("div", { class: "toasts", role: "region", "aria-label": "Alerts raised just now", "data-testid": "toasts" });
  private readonly polite = h("div", { class: "sr", "aria-live": "assertive" });
  private readonly open: () => void;

  constructor(open: () => void) {
    this.open = open;
    this.el.append(this.polite);
  }

  show(alert: AlertEvent): void {
    const severity = severityOf(alert.severity);
    const simulated = alert.flags.includes("SIMULATED");
    const close = h("button", { type: "button", class: "icon", "aria-label": "Dismiss" }, "✕");
    const more = h("button", { type: "button", class: "toast-body" }, h("b", {}, alert.rule), h("span", {}, alert.text));
    const head = h(
      "div", { class: "toast-head" }, h("span", { class: "severity" }, `${SEVERITY_SIGNS[severity]} ${severity}`),
      simulated ? h("i", { class: "venue", "data-venue": "sim" }, "SIMULATED") : null,
      h("time", { class: "num" }, clock(alert.ts_event)), close,
    );
    const toast = h("div", { class: "toast", "data-severity": severity, "data-testid": "toast" }, head, more);
    more.addEventListener("click", () => this.open());
    close.addEventListener("click", () => toast.remove());
    this.el.append(toast);
    while (this.el.querySelectorAll(".toast").length > MOST) this.el.querySelector(".toast")?.remove();
    this.polite.textContent = `${severity} alert${simulated ? ", simulated market" : ""}: ${alert.rule}. ${alert.text} ${alertValue(alert.value)}`;
    if (severity !== "critical") this.fade(toast);
  }

  private fade(toast: HTMLElement): void {
    window.setTimeout(() => {
      if (toast.matches(":hover, :focus-within")) this.fade(toast);
      else toast.remove();
    }, STAY_MS);
  }
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

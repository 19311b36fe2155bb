// Asking for rules and for what they raised.

import * as api from "../api/alerts.ts";
import type { Alerts } from "./alerts.ts";

const PAST_ALERTS = 100;
const CALM_MS = 200;

/** Rules and their states, and the newest alerts with what became of each. */
export async function fetchRules(alerts: Alerts): Promise<void> {
  const answer = await api.rules();
  if ("error" in answer) alerts.trouble = [answer.error.message, answer.error.hint].filter(Boolean).join(" · ");
  else {
    alerts.trouble = "";
    alerts.rules = answer.ok.rules;
    alerts.loaded = true;
  }
  const past = await api.history(PAST_ALERTS);
  if ("ok" in past) alerts.put([...past.ok.alerts].reverse(), "history");
}

/** `act` soon, and once, however often it is called for: a burst of alerts is one question. */
export function calmly(act: () => void): () => void {
  let timer: number | undefined;
  return () => {
    timer ??= window.setTimeout(() => {
      timer = undefined;
      act();
    }, CALM_MS);
  };
}

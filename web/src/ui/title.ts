// Keeps the document's title right, also while its tab is hidden and nothing is painted: that is when people read it.

import type { Session } from "../state/session.ts";
import { titleOf } from "../state/title.ts";

const EVERY_MS = 1000;

export function keepTitle(session: Session): void {
  const tell = (): void => {
    const { health, view, market, status, resting } = session;
    const raised = health.dead ? [] : (status?.alerts?.raised_now ?? []);
    const title = titleOf({ health, row: market.rows.get(view.id), raised, resting });
    if (document.title !== title) document.title = title;
  };
  session.scheduler.afterPaint(throttled(tell));
  window.setInterval(tell, EVERY_MS);
}

/** At most four times a second: a title is read, not watched. */
function throttled(act: () => void): () => void {
  let last = 0;
  return () => {
    const now = performance.now();
    if (now - last < EVERY_MS / 4) return;
    last = now;
    act();
  };
}

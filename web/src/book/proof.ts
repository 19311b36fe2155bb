// Whether a book may be relied on, and why not: the words that every drawing of it shows.

import type { Book, BookState } from "../api/types.ts";
import type { Row } from "../state/market.ts";
import type { Session } from "../state/session.ts";

export type Proof = BookState | "none" | null;

/** `none`: of this instrument no book is streamed; null: not known yet. */
export function bookState(book: Book | null, row: Row | undefined): Proof {
  return row?.info?.book === "none" ? "none" : (book?.state ?? row?.info?.book ?? null);
}

const WORDS: Readonly<Record<string, string>> = {
  invalid: "an update is missing; it is being built anew",
  buffering: "waiting for the snapshot that it will be built on",
  joining: "joining the snapshot to the updates",
  synced: "waiting for the book",
};

export function whyNot(session: Session, row: Row | undefined, state: Proof): string {
  if (session.status?.finished) return "the recording ends here";
  if (state === null) return row && !session.health.dead ? "waiting for the book" : "no book";
  if (state === "none") return "none is streamed of this instrument, or its venue has none";
  const said = row?.info?.last_status;
  const reason = said && said.kind !== "synced" && said.reason ? ` · ${said.reason}` : "";
  return (WORDS[state] ?? state) + reason;
}

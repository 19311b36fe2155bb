// What a part of the page knows of the market, and what it must ask the server for to know it.
//
// A store asks only while somebody looks: a panel that is closed or covered costs the server nothing. The session puts together what
// all stores want, subscribes to what is new and unsubscribes from what nobody wants any more.

import type { Message } from "../api/types.ts";
import type { Subscription } from "../api/socket.ts";

export interface Store {
  /** What is wanted now. Asked anew after each choice of instrument or interval, and whenever `session.asks()` is called. */
  wants?(): readonly Subscription[];
  /** Every message; a store takes those that it has a use for. */
  put?(message: Message): void;
  /** Another instrument or interval was chosen: what was known of the one before is forgotten. */
  chose?(): void;
  /** What came before is to be fetched: after a choice, and when the server is there again. `signal` ends with the choice. */
  fill?(signal: AbortSignal): void;
  /** The server began another session: nothing that was known holds. */
  clear?(): void;
  /** Once a second, unless what is on the page may be old. */
  second?(): void;
}

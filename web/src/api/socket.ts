// The WebSocket to the server, which comes back by itself.
//
// What is wanted is kept here, not at the server: after each opening every wanted subscription is sent again and the server
// answers with snapshots, so a restart of either side needs no reload. A socket that stays open but says nothing (a sleeping
// laptop, a hung server) is closed and opened anew: status comes each second, so silence means that it is dead.

import { socketProtocols } from "./base.ts";
import type { ApiError, Channel, Message, Reply } from "./types.ts";

export interface Subscription {
  readonly channel: Channel;
  readonly instruments?: readonly string[];
  readonly interval?: string;
  readonly depth?: number;
  readonly kind?: "book" | "sample";
  readonly step?: number;
  readonly every?: string;
  readonly rows?: number;
}

export type Link = "connecting" | "open" | "closed";

export interface FeedHandlers {
  readonly message: (message: Message) => void;
  readonly link: (link: Link) => void;
  readonly error: (error: ApiError) => void;
}

export const SILENT_CLOSE_MS = 6000;
const CONNECT_MS = 8000;
const FIRST_MS = 400;
const MOST_MS = 5000;

/** Full jitter over an exponential ceiling, never below a quarter second: a restarted server is not hammered. */
export function backoff(attempt: number, random: number = Math.random()): number {
  return Math.max(250, Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(attempt, 10)) * random);
}

/** A message or reply; null for what is none. */
export function read(text: string): Message | Reply | null {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null && !Array.isArray(found) ? (found as Message | Reply) : null;
  } catch {
    return null;
  }
}

const keyOf = (s: Subscription): string => JSON.stringify([s.channel, s.instruments, s.interval, s.depth, s.kind, s.step, s.every, s.rows]);

export class Feed {
  link: Link = "closed";
  everOpen = false;
  attempts = 0;
  lastMessage = 0;
  retryAt: number | null = null;
  private socket: WebSocket | null = null;
  private timer: number | undefined;
  private opened = 0;
  private nextId = 1;
  private readonly wanted = new Map<string, Subscription>();
  private readonly url: string;
  private readonly on: FeedHandlers;

  constructor(url: string, on: FeedHandlers) {
    this.url = url;
    this.on = on;
  }

  /** What is wanted from now on: the new is subscribed to, what is wanted no more unsubscribed from. */
  want(subscriptions: readonly Subscription[]): void {
    const next = new Map(subscriptions.map((s) => [keyOf(s), s]));
    for (const [key, old] of this.wanted) {
      if (next.has(key)) continue;
      this.wanted.delete(key);
      this.send("unsubscribe", old);
    }
    for (const [key, subscription] of next) {
      if (this.wanted.has(key)) continue;
      this.wanted.set(key, subscription);
      this.send("subscribe", subscription);
    }
  }

  open(): void {
    window.clearTimeout(this.timer);
    this.retryAt = null;
    this.drop();
    const socket = new WebSocket(this.url, socketProtocols());
    this.socket = socket;
    this.opened = performance.now();
    this.setLink("connecting");
    socket.onopen = () => this.started();
    socket.onmessage = (event) => this.received(String(event.data));
    socket.onclose = () => this.closed(socket);
  }

  /** Called from the heartbeat: opens anew what is open in name only. */
  watch(now: number): void {
    if (this.link === "open" && now - Math.max(this.lastMessage, this.opened) > SILENT_CLOSE_MS) this.retry();
    else if (this.link === "connecting" && now - this.opened > CONNECT_MS) this.retry();
  }

  /** The browser came back (tab shown, network up): do not wait for the timer. */
  hurry(): void {
    if (this.link === "closed") this.open();
  }

  private started(): void {
    this.everOpen = true;
    this.opened = performance.now();
    for (const subscription of this.wanted.values()) this.send("subscribe", subscription);
    this.setLink("open");
  }

  private received(text: string): void {
    const message = read(text);
    if (message === null) {
      this.retry(); // something on the way spoils what is sent: the snapshots of a new connection make up for it
      return;
    }
    this.lastMessage = performance.now();
    this.attempts = 0;
    if ("channel" in message) this.on.message(message);
    else if (message.error) this.on.error(message.error);
  }

  private closed(socket: WebSocket): void {
    if (socket === this.socket) this.retry();
  }

  private retry(): void {
    this.drop();
    const delay = backoff(this.attempts++);
    this.retryAt = performance.now() + delay;
    this.timer = window.setTimeout(() => this.open(), delay);
    this.setLink("closed");
  }

  private drop(): void {
    const old = this.socket;
    this.socket = null;
    if (!old) return;
    old.onopen = old.onmessage = old.onclose = null;
    old.close();
  }

  private send(method: "subscribe" | "unsubscribe", params: Subscription): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ method, params, id: this.nextId++ }));
  }

  private setLink(link: Link): void {
    if (link === this.link) return;
    this.link = link;
    this.on.link(link);
  }
}

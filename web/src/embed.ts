// One panel of the page, for a frame in another page or a notebook: what it may be believed stands above it, always; nothing else.
//
// It remembers nothing and chooses nothing: what it shows is what its address asks for, or words that say why not.

import "./styles/tokens.css";
import "./styles/layout.css";
import "./styles/workspace.css";
import "./styles/panels.css";
import "./styles/metrics.css";
import "./styles/embed.css";
import { bearer, socketUrl } from "./api/base.ts";
import { markRoot } from "./panels/health.ts";
import { KINDS, type Page, type PanelKind } from "./panels/kinds.ts";
import { type Embedded, readEmbed } from "./state/embedded.ts";
import { Session } from "./state/session.ts";
import { Settings } from "./state/settings.ts";
import { h, mark, show, Value, value } from "./ui/dom.ts";
import { clock, fixed, symbolOf, useZone, venueOf, zoneAt } from "./ui/format.ts";
import { type Panel, Scheduler, type Topic } from "./ui/scheduler.ts";
import { Look } from "./ui/theme.ts";
import { isZone } from "./ui/time.ts";
import { keepTitle } from "./ui/title.ts";
import { Zone } from "./ui/zone.ts";

const PAGE: Page = { open: () => undefined, writeRule: () => undefined };

const NAMED = 12; // of what is streamed

/** The slim line: state and its reason, the instrument and what it is worth. */
class Line implements Panel {
  readonly topics: readonly Topic[] = ["status", "link", "clock", "quotes", "selection", "zone"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly words: HTMLElement;
  private readonly asked: string;
  private readonly state = new Value(h("strong", { class: "state", "data-testid": "state" }));
  private readonly reason = value("state-detail", "reason");
  private readonly symbol = value("embed-symbol", "symbol");
  private readonly price = value("num value", "price");
  private readonly time = value("num embed-time", "utc");

  constructor(session: Session, asked: string, words: HTMLElement) {
    this.session = session;
    this.asked = asked;
    this.words = words;
    const live = h("div", { class: "state-box", role: "status" }, this.state.el, this.reason.el);
    this.el = h("header", { class: "health embed-line" }, live, this.symbol.el, this.price.el, this.time.el);
  }

  render(): void {
    const { health, market, view, status, now } = this.session;
    markRoot(this.session, health);
    mark(this.el, "kind", health.kind);
    this.state.set(health.label, health.kind);
    const why = health.detail || (health.mode === "simulated" ? "no real market is behind these numbers" : "");
    this.reason.set(why);
    this.reason.el.title = why;
    const row = market.rows.get(view.id);
    this.symbol.set(row ? `${symbolOf(row.id)} ${venueOf(row.id)}` : this.asked, row?.id ?? "");
    this.price.set(row && !health.dead ? fixed(row.price, row.priceDecimals + (row.mid === null ? 0 : 1)) : "", row?.price ?? null);
    const us = status?.mode === "replay" ? now : Date.now() * 1000;
    this.time.set(`${clock(us)} ${zoneAt(us)}`);
    const missing = status !== null && !health.dead && this.asked !== "" && !market.rows.has(this.asked);
    if (missing) this.words.textContent = `${this.asked} is not streamed here. What is: ${[...market.rows.keys()].slice(0, NAMED).join(", ")}.`;
    show(this.words, missing);
  }
}

function build(asked: Embedded, kind: PanelKind): void {
  const scheduler = new Scheduler();
  const session = new Session(socketUrl(), scheduler);
  const query = new URLSearchParams(location.search);
  const settings = new Settings({ get: (key) => query.get(key), set: () => undefined }, () => undefined);
  new Look(settings, () => scheduler.touch("theme", "quotes"));
  const words = h("p", { class: "embed-words", role: "alert", hidden: true, "data-testid": "words" });
  const line = new Line(session, asked.instrument, words);
  scheduler.add(isZone(asked.zone) ? { topics: [], render: () => undefined } : new Zone(session, settings));
  if (isZone(asked.zone)) useZone(asked.zone);
  const shown = kind.make(session, PAGE);
  mark(shown.el, "of", kind.of ?? "instrument");
  scheduler.add(line);
  scheduler.add(shown);
  shown.visible?.(true);
  session.prefer(asked.instrument || undefined, asked.interval || undefined, true);
  app.append(line.el, h("main", { class: "embed-body" }, shown.el, words));
  keepTitle(session);
  session.start();
}

const app = document.getElementById("app") ?? document.body;
const asked = readEmbed(location.pathname, location.search, location.hash);
const kind = KINDS.find(({ id }) => id === asked.panel);
bearer(asked.token);
if (kind) build(asked, kind);
else app.append(h("p", { class: "embed-words", role: "alert", "data-testid": "words" }, `There is no panel called ${asked.word.slice(0, 32)} here.`));

// The health of everything: a card a venue with its connections and instruments, one of this machine with sinks, tape and disk, and the
// last events, of all or of the venue or instrument that was pressed.
//
// All that a colour says is a word as well; what is meant is said on hover; every number has its unit.

import type { StatusEvent } from "../api/types.ts";
import type { Session } from "../state/session.ts";
import { Vitals } from "../state/vitals.ts";
import { h, panel, show } from "../ui/dom.ts";
import { venueOf } from "../ui/format.ts";
import { Rows } from "../ui/rows.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";
import { eventLine } from "./events.ts";
import { Machine, type OfVenue, venueCard } from "./vitals/cards.ts";
import "../styles/vitals.css";

const EVENTS = 40;

export class HealthPanel implements Panel {
  readonly topics: readonly Topic[] = ["status", "events", "theme", "zone"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly venues: Rows<OfVenue>;
  private readonly machine: Machine;
  private readonly list = h("ol", { class: "vital-events", "data-testid": "vital-events", "aria-label": "Last events" });
  private readonly none = h("p", { class: "empty" }, "No events of it.");
  private readonly which = h("select", { "aria-label": "Events of", "data-testid": "vital-filter" });
  private options = "";
  private filter = ""; // a venue's label, or an instrument; empty: everything

  constructor(session: Session, title: HTMLElement) {
    this.session = session;
    const vitals = new Vitals(() => session.status);
    session.add(vitals);
    this.venues = new Rows(h("div", { class: "vital-cards" }), ({ name }) => name, () => venueCard(vitals, (of) => this.choose(of)));
    this.machine = new Machine(vitals);
    this.which.addEventListener("change", () => this.choose(this.which.value));
    const head = h("div", { class: "vital-head" }, h("h4", {}, "Last events of"), this.which);
    const body = h(
      "div", { class: "vitals", "data-testid": "vitals", tabindex: "0", role: "group", "aria-label": "Health" },
      this.venues.el, this.machine.el, head, this.list, this.none,
    );
    this.el = panel("health", "Health", title, body);
  }

  render(dirty: ReadonlySet<Topic>): void {
    const { status } = this.session;
    if (!status) return;
    const names = [...new Set([...status.connections.map((c) => c.venue), ...status.instruments.map((i) => venueOf(i.id))])].sort();
    this.venues.tell(names.map((name) => ({ name, status })));
    this.machine.draw(status);
    this.drawOptions(["", ...names, ...status.instruments.map((i) => i.id)]);
    if (dirty.has("events") || dirty.has("zone")) this.drawEvents();
  }

  private choose(of: string): void {
    this.filter = of;
    this.which.value = of;
    this.drawEvents();
  }

  private drawOptions(all: readonly string[]): void {
    const options = all.join("\n");
    if (options === this.options) return;
    this.options = options;
    this.which.replaceChildren(...all.map((of) => h("option", { value: of }, of || "everything")));
    if (!all.includes(this.filter)) this.filter = "";
    this.which.value = this.filter;
  }

  private drawEvents(): void {
    const of = this.filter;
    const mine = (e: StatusEvent): boolean => of === "" || e.instrument === of || (!of.includes(":") && (e.venue === of || venueOf(e.instrument) === of));
    const { items } = this.session.events;
    const found = items.filter(mine).slice(-EVENTS).reverse();
    this.list.replaceChildren(...found.map(eventLine));
    show(this.none, found.length === 0);
  }
}

// Keeps the page's times in the zone that was chosen: another choice, or another instrument with another exchange, writes them all anew.

import type { Session } from "../state/session.ts";
import type { Settings } from "../state/settings.ts";
import { useZone, zoneAt } from "./format.ts";
import type { Panel, Topic } from "./scheduler.ts";
import { type ZoneChoice, zoneFor } from "./time.ts";

export class Zone implements Panel {
  readonly topics: readonly Topic[] = ["selection", "status"]; // a zone's name changes with daylight saving
  private readonly session: Session;
  private readonly settings: Settings;
  private name = "";

  constructor(session: Session, settings: Settings) {
    this.session = session;
    this.settings = settings;
    this.apply();
  }

  apply(): void {
    const other = useZone(zoneFor(this.settings.get("zone") as ZoneChoice, this.session.view.id));
    const name = zoneAt();
    if (name !== this.name) document.documentElement.style.setProperty("--zone", `"${name}"`); // what class "zone" shows
    this.name = name;
    if (other) this.session.scheduler.touch("zone");
  }

  render(): void {
    this.apply();
  }
}

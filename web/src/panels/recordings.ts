// The recordings that there are, to open one: beside the live market, at an address of its own.

import { isBeside, openRecording, type Recording, recordings } from "../api/replay.ts";
import type { Session } from "../state/session.ts";
import { dialog } from "../ui/dialog.ts";
import { h } from "../ui/dom.ts";
import { bytes, clock, count, day, symbolOf, zoneAt } from "../ui/format.ts";
import { lengthText } from "./replay.ts";

const NAMED = 3;

export class Recordings {
  readonly el: HTMLDialogElement;
  private readonly session: Session;
  private readonly list = h("div", { class: "recordings-list", "aria-live": "polite", "data-testid": "recordings" });

  constructor(session: Session) {
    this.session = session;
    const about = h("p", {}, "Every session is kept as it came over the wire and can be played back: its books, bars and metrics are then what they were.");
    const back = h("a", { href: "/", class: "replay-back", hidden: !isBeside }, "Back to live");
    this.el = dialog("recordings", "Recordings", about, this.list, back);
  }

  open(): void {
    if (!this.el.open) this.el.showModal();
    this.say("Looking at the tape …");
    void recordings().then((found) => this.draw(found));
  }

  private say(text: string): void {
    this.list.replaceChildren(h("p", { class: "empty" }, text));
  }

  private draw(found: readonly Recording[] | string): void {
    if (typeof found === "string") this.say(`The recordings could not be listed: ${found}`);
    else if (found.length === 0) this.say("Nothing is recorded yet. What is streamed is recorded unless --no-keep says otherwise.");
    else {
      const head = h("tr", {}, ...["Begun", "Length", "Messages", "Size", "Instruments", ""].map((text) => h("th", { scope: "col" }, text)));
      this.list.replaceChildren(h("table", { class: "recordings-table" }, h("thead", {}, head), h("tbody", {}, ...found.map((one) => this.row(one)))));
    }
  }

  private row(one: Recording): HTMLElement {
    const here = this.session.status?.mode === "replay" && this.session.status.session === one.session;
    const open = h("button", { type: "button", class: "small", "data-testid": "open-recording", "aria-label": `Open the recording of ${day(one.first)} ${clock(one.first)}` }, here ? "Shown" : "Open");
    open.disabled = here;
    open.addEventListener("click", () => void this.go(one, open));
    const names = one.instruments.map(symbolOf);
    const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
    const live = one.live ? h("em", { class: "recordings-live" }, "recording now") : null;
    const begun = h("td", { title: one.session }, h("b", { class: "num" }, `${day(one.first)} ${clock(one.first)}`), h("small", {}, ` ${zoneAt(one.first)}`), live);
    const cells = [lengthText(one.last - one.first), count(one.frames), bytes(one.bytes)];
    const what = h("td", { class: "recordings-what", title: one.instruments.join(", ") }, `${names.slice(0, NAMED).join(", ")}${more}` || "–");
    return h("tr", { "data-session": one.session }, begun, ...cells.map((text) => h("td", { class: "num" }, text)), what, h("td", {}, open));
  }

  private async go(one: Recording, button: HTMLButtonElement): Promise<void> {
    button.disabled = true;
    button.textContent = "Opening …";
    const answer = await openRecording(one.session);
    if (typeof answer !== "string") {
      location.assign(answer.path);
      return;
    }
    button.disabled = false;
    button.textContent = "Open";
    this.list.prepend(h("p", { class: "recordings-error", role: "alert" }, answer));
  }
}

// Choosing, naming and sharing layouts: the menu behind the button, the dialog that asks for a name, links.

import type { Arrangement } from "../state/arrangement.ts";
import { readLink, writeLink } from "../state/link.ts";
import { PRESETS } from "../state/presets.ts";
import type { Session } from "../state/session.ts";
import { dialog } from "../ui/dialog.ts";
import { h } from "../ui/dom.ts";
import { type Choice, type Entry, openMenu } from "../ui/menu.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";
import { notice } from "../ui/notice.ts";
import type { Workspace } from "./workspace.ts";

export class Layouts implements Panel {
  readonly topics: readonly Topic[] = ["selection", "status"];
  readonly el: HTMLDialogElement;
  private readonly workspace: Workspace;
  private readonly session: Session;
  private readonly input = h("input", { type: "text", maxlength: 40, "aria-label": "Name of the layout", required: true, autocomplete: "off" });
  private wanted = ""; // the instrument of a link that was opened
  private told = false;

  constructor(workspace: Workspace, session: Session) {
    this.workspace = workspace;
    this.session = session;
    const form = h("form", { class: "rule-line", method: "dialog" }, this.input, h("button", { type: "submit", class: "primary" }, "Keep"));
    form.addEventListener("submit", () => this.save());
    this.el = dialog("naming", "Keep this layout as", form);
    workspace.onChange = () => this.dropLink();
    window.addEventListener("hashchange", () => this.follow());
    this.follow();
  }

  /** What can be done with layouts, for the menu and the command palette. */
  choices(): Choice[] {
    const { arrangement } = this;
    return [
      ...PRESETS.map((preset) => ({
        label: preset.title, hint: preset.what, checked: arrangement.preset === preset, run: () => this.workspace.arrange(() => arrangement.choose(preset)),
      })),
      ...arrangement.named.map(({ name, text }) => ({ label: name, checked: arrangement.text === text, run: () => this.workspace.arrange(() => arrangement.useNamed(name)) })),
    ];
  }

  acts(): Choice[] {
    return [
      { label: "Keep this layout as…", run: () => this.ask() },
      { label: "Copy a link to this view", run: () => void this.share() },
      { label: "Reset the layout", run: () => this.reset() },
    ];
  }

  menu(anchor: HTMLElement): void {
    const choices = this.choices();
    const { named } = this.arrangement;
    const own: Entry[] = named.length > 0 ? [{ heading: "Yours" }, ...choices.slice(PRESETS.length)] : [];
    const forget: Entry[] = named.length > 0 ? [{ label: "Forget one…", run: () => this.forget(anchor) }] : [];
    openMenu(anchor, "Layouts", [{ heading: "Layouts" }, ...choices.slice(0, PRESETS.length), ...own, { heading: "This one" }, ...this.acts(), ...forget]);
  }

  render(): void {
    const { market, view, status } = this.session;
    if (this.wanted === "" || !status || view.id === "") return;
    if (!market.rows.has(this.wanted) && !this.told) {
      this.told = true;
      notice(`${this.wanted}, of the link, is not streamed here.`);
    } else if (view.id !== this.wanted && market.rows.has(this.wanted)) this.dropLink(); // another one was chosen since
  }

  private get arrangement(): Arrangement {
    return this.workspace.arrangement;
  }

  private ask(): void {
    this.input.value = "";
    this.el.showModal();
    this.input.focus();
  }

  private save(): void {
    const name = this.arrangement.saveAs(this.input.value);
    if (name) notice(`Kept as ${name}.`);
  }

  private forget(anchor: HTMLElement): void {
    openMenu(anchor, "Forget a layout", this.arrangement.named.map(({ name }) => ({ label: name, run: () => this.arrangement.forget(name) })));
  }

  private reset(): void {
    const [first] = PRESETS;
    if (first) this.workspace.arrange(() => this.arrangement.choose(first));
  }

  private async share(): Promise<void> {
    const { id: instrument, interval } = this.session.view;
    history.replaceState(null, "", writeLink({ layout: this.arrangement.text, instrument, interval }));
    this.wanted = instrument;
    try {
      await navigator.clipboard.writeText(location.href);
      notice("The link is on the clipboard.");
    } catch {
      notice("The link stands in the address bar."); // the clipboard is for secure pages, and may be refused
    }
  }

  /** Shows what the address asks for; the layout that was there before is kept until this one is changed. */
  private follow(): void {
    const link = readLink(location.hash);
    this.wanted = link.instrument ?? "";
    this.told = false;
    this.session.prefer(link.instrument, link.interval);
    if (link.layout === undefined) return;
    let read = false;
    const change = this.workspace.onChange;
    this.workspace.onChange = () => undefined; // the address stays
    this.workspace.arrange(() => (read = this.arrangement.borrow(link.layout ?? "")));
    this.workspace.onChange = change;
    if (!read) notice("The layout of the link cannot be read.");
    else {
      const back = (): void => {
        this.workspace.arrange(() => this.arrangement.recall(innerWidth));
      };
      notice("A layout from a link.", [["Keep it", () => this.arrangement.keep()], ["Back to mine", back]]);
    }
  }

  private dropLink(): void {
    this.wanted = "";
    if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  }
}

// The command palette: one line to type in, and under it what can be done with it. Arrow keys choose, Enter does, Escape leaves.

import { type Command, found } from "../state/commands.ts";
import { h } from "./dom.ts";

export class Palette {
  readonly el: HTMLDialogElement;
  private readonly input = h("input", {
    type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
    "aria-label": "Search instruments, panels, intervals, layouts, settings, recordings", placeholder: "Search instruments, panels, layouts, settings …",
  });
  private readonly list = h("div", { id: "palette-list", class: "palette-list", role: "listbox", "aria-label": "Found" });
  private readonly none = h("p", { class: "empty", role: "status", hidden: true }, "Nothing is called that.");
  private readonly commands: () => Promise<readonly Command[]>[];
  private all: Command[] = [];
  private shown: Command[] = [];
  private at = 0;

  /** `commands`: asked each time it is opened; what answers later is added then. */
  constructor(commands: () => Promise<readonly Command[]>[]) {
    this.commands = commands;
    this.el = h("dialog", { class: "dialog palette", "aria-label": "Search" }, this.input, this.list, this.none);
    this.el.addEventListener("click", (e) => e.target === this.el && this.el.close());
    this.input.addEventListener("input", () => this.search());
    this.el.addEventListener("keydown", (event) => this.key(event));
  }

  toggle(): void {
    if (this.el.open) {
      this.el.close();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    this.input.value = "";
    this.all = [];
    this.el.showModal();
    const parts: (readonly Command[])[] = [];
    this.commands().forEach((asked, i) => {
      void asked.then((commands) => {
        parts[i] = commands;
        this.all = parts.flatMap((p) => p ?? []);
        this.search(this.shown[this.at]);
      });
    });
  }

  /** The best is chosen; or the one that was, where others came beside it: Enter does what it would have done just before. */
  private search(chosen?: Command): void {
    this.shown = found(this.input.value, this.all);
    this.list.replaceChildren();
    let group = "";
    this.shown.forEach((command, i) => {
      if (command.group !== group) this.list.append(h("div", { class: "palette-group", role: "presentation" }, command.group));
      group = command.group;
      this.list.append(this.option(command, i));
    });
    this.none.hidden = this.shown.length > 0;
    this.choose(chosen ? Math.max(0, this.shown.indexOf(chosen)) : 0);
  }

  private option(command: Command, i: number): HTMLElement {
    const el = h(
      "div", { role: "option", id: `palette-${i}`, class: "palette-option" },
      h("span", {}, command.title), h("small", {}, command.detail ?? ""), command.hint ? h("kbd", {}, command.hint) : null,
    );
    el.addEventListener("pointermove", () => this.at !== i && this.choose(i));
    el.addEventListener("click", () => this.run(command));
    return el;
  }

  private choose(at: number): void {
    this.at = at;
    for (const el of this.list.querySelectorAll("[role=option]")) el.setAttribute("aria-selected", String(el.id === `palette-${at}`));
    this.input.setAttribute("aria-activedescendant", this.shown.length > 0 ? `palette-${at}` : "");
    this.list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }

  private key(event: KeyboardEvent): void {
    const last = this.shown.length - 1;
    const to = { ArrowDown: this.at >= last ? 0 : this.at + 1, ArrowUp: this.at <= 0 ? last : this.at - 1, PageDown: Math.min(last, this.at + 8), PageUp: Math.max(0, this.at - 8) }[event.key];
    const command = this.shown[this.at];
    if (event.key === "Enter" && command) this.run(command);
    else if (to !== undefined && last >= 0) this.choose(to);
    else return;
    event.preventDefault();
  }

  private run(command: Command): void {
    this.el.close();
    command.run();
  }
}

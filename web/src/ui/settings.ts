// The settings dialog: what is chosen holds at once, there is nothing to confirm.

import { type Setting, SETTINGS, type Settings } from "../state/settings.ts";
import { dialog } from "./dialog.ts";
import { h } from "./dom.ts";

export class SettingsDialog {
  readonly el: HTMLDialogElement;
  private readonly settings: Settings;
  private readonly rows = h("div", { class: "settings-rows" });
  private readonly volume = h("input", { type: "range", min: 0, max: 100, step: 5, id: "setting-volume" });

  constructor(settings: Settings, hear: () => void) {
    this.settings = settings;
    const hearing = h("button", { type: "button", class: "small" }, "Hear it");
    hearing.addEventListener("click", hear);
    this.volume.addEventListener("input", () => (settings.volume = Number(this.volume.value) / 100));
    const loud = h("div", { class: "setting" }, h("label", { for: "setting-volume" }, "Volume"), h("span", { class: "setting-volume" }, this.volume, hearing));
    const reset = h("button", { type: "button", class: "small" }, "As in the beginning");
    reset.addEventListener("click", () => settings.reset());
    this.rows.append(...SETTINGS.map((setting) => this.row(setting)), loud);
    const foot = h("footer", {}, h("p", {}, "Kept in this browser."), reset);
    this.el = dialog("settings", "Settings", this.rows, foot);
    this.draw();
  }

  /** Shows what holds now, whoever chose it. */
  draw(): void {
    for (const input of this.rows.querySelectorAll<HTMLInputElement>("input[type=radio]")) {
      input.checked = this.settings.get(input.name.slice("setting-".length)) === input.value;
    }
    this.volume.value = String(Math.round(this.settings.volume * 100));
  }

  private row({ key, label, about, options }: Setting): HTMLElement {
    const choices = options.map(([value, text]) => {
      const input = h("input", { type: "radio", name: `setting-${key}`, value });
      input.addEventListener("change", () => this.settings.set(key, value));
      return h("label", {}, input, h("span", {}, text));
    });
    const named = { role: "radiogroup", "aria-label": label, class: "segments" };
    return h("div", { class: "setting", title: about ?? null }, h("span", { "aria-hidden": "true" }, label), h("div", named, ...choices), about ? h("small", {}, about) : null);
  }
}

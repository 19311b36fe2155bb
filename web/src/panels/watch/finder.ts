// The search box of the list: what is typed filters what is streamed, and finds what any venue lists; that is added with one key.

import { add, type Candidate, search, type SearchAnswer } from "../../api/subscriptions.ts";
import { h, show } from "../../ui/dom.ts";

const CALM_MS = 200;
const AGAIN_MS = 1000;
const MOST_AGAIN = 15;

export class Finder {
  readonly input = h("input", { type: "search", class: "watch-search", placeholder: "Search or add a market", "aria-label": "Search or add a market", autocomplete: "off", spellcheck: "false", "data-testid": "watch-search" });
  readonly el = h("div", { class: "watch-found", hidden: true, role: "group", "aria-label": "Found at the venues", "data-testid": "watch-found" });
  private readonly filter: (words: string) => void;
  private readonly first: () => boolean;
  private readonly added: (name: string) => void;
  private readonly list = h("div", { class: "found-list" });
  private readonly says = h("p", { class: "found-says", role: "status" });
  private timer: number | undefined;
  private abort = new AbortController();
  private listed: string[] = []; // names, as they stand for these words
  private rounds = 0;

  /** `first` picks the first market that fits, and says whether there was one. */
  constructor(filter: (words: string) => void, first: () => boolean, added: (name: string) => void) {
    this.filter = filter;
    this.first = first;
    this.added = added;
    this.el.append(this.list, this.says);
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("keydown", (e) => this.key(e));
    this.el.addEventListener("keydown", (e) => this.walk(e));
  }

  get words(): string {
    return this.input.value.trim();
  }

  clear(): void {
    this.input.value = "";
    this.typed();
  }

  private typed(): void {
    this.abort.abort();
    window.clearTimeout(this.timer);
    this.rounds = 0;
    this.listed = [];
    this.filter(this.words);
    show(this.el, this.words !== "");
    if (this.words === "") return;
    this.says.textContent = "searching…";
    this.timer = window.setTimeout(() => void this.ask(), CALM_MS);
  }

  private async ask(): Promise<void> {
    this.abort = new AbortController();
    const { signal } = this.abort;
    const answer = await search(this.words, signal).catch(() => null);
    if (answer === null || signal.aborted) return;
    if (typeof answer === "string") {
      this.says.textContent = answer;
      return;
    }
    this.show(answer);
    if (answer.pending.length > 0 && ++this.rounds < MOST_AGAIN) this.timer = window.setTimeout(() => void this.ask(), AGAIN_MS);
  }

  private show(answer: SearchAnswer): void {
    const place = (c: Candidate): number => (this.listed.includes(c.name) ? this.listed.indexOf(c.name) : this.listed.length);
    const others = answer.instruments.filter((c) => !c.streaming).sort((a, b) => place(a) - place(b)); // what was read stays where it was
    this.listed = others.map((c) => c.name);
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset["name"] : undefined;
    this.list.replaceChildren(...others.map((c) => this.candidate(c)));
    if (focused) this.list.querySelector<HTMLElement>(`[data-name="${CSS.escape(focused)}"]`)?.focus();
    const parts = [];
    if (others.length === 0) parts.push(answer.pending.length > 0 ? "" : "no other market of that name");
    if (answer.more) parts.push("more fit: type on");
    if (answer.pending.length > 0) parts.push(`asking ${answer.pending.join(", ")}…`);
    for (const { venue, message } of answer.failed) parts.push(message.startsWith(venue) ? message : `${venue}: ${message}`);
    this.says.textContent = parts.filter(Boolean).join(" · ");
  }

  private candidate(c: Candidate): HTMLElement {
    const venue = c.id.slice(0, c.id.indexOf(":"));
    const plus = h("span", { class: "found-add" }, "+ add");
    const button = h(
      "button", { type: "button", class: "found", "data-name": c.name, "data-testid": `add-${c.name}`, "aria-label": `Add ${c.id}, ${c.kind}` },
      h("b", {}, c.symbol), h("i", { class: "venue", "data-venue": venue }, venue), h("span", { class: "found-kind" }, c.kind), plus,
    );
    button.addEventListener("click", () => void this.add(c.name, button, plus));
    return button;
  }

  private async add(name: string, button: HTMLButtonElement, plus: HTMLElement): Promise<void> {
    if (button.disabled) return;
    button.disabled = true;
    plus.textContent = "adding…";
    const error = await add(name);
    button.disabled = false;
    if (error === null) {
      plus.textContent = "added";
      this.clear();
      this.added(name);
      return;
    }
    plus.textContent = "+ add";
    button.after(h("p", { class: "found-error", role: "alert" }, error));
  }

  private key(event: KeyboardEvent): void {
    if (event.key === "Escape") this.clear();
    else if (event.key === "ArrowDown") this.list.querySelector<HTMLElement>("button")?.focus();
    else if (event.key === "Enter" && this.words !== "") {
      if (this.first()) this.clear();
      else this.list.querySelector<HTMLElement>("button")?.click();
    } else return;
    event.preventDefault();
  }

  private walk(event: KeyboardEvent): void {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (event.key === "Escape") {
      this.clear();
      this.input.focus();
    }
    if (by === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const all = [...this.list.querySelectorAll<HTMLElement>("button")];
    const at = all.indexOf(document.activeElement as HTMLElement);
    (at + by < 0 ? this.input : all[Math.min(all.length - 1, at + by)])?.focus();
  }
}

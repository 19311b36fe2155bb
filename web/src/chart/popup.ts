// A small box over the page, beside what it belongs to: in the browser's top layer, so that no panel cuts it off. Escape and a click
// elsewhere close it, and the focus goes back.

import { h } from "../ui/dom.ts";

const MARGIN = 6;

export interface Place {
  readonly x: number;
  readonly y: number;
  readonly above: number; // where it ends if it has to stand above
}

export class Popup {
  readonly el: HTMLElement;
  private readonly back: HTMLElement;
  private readonly closed: (() => void) | undefined;

  constructor(label: string, back: HTMLElement, className: string, closed?: () => void) {
    this.back = back;
    this.closed = closed;
    this.el = h("div", { class: `chart-popup ${className}`, role: "dialog", "aria-label": label, popover: "auto" });
    this.el.addEventListener("toggle", (event) => {
      if ((event as ToggleEvent).newState === "closed") this.gone();
    });
    this.el.addEventListener("keydown", (event) => {
      event.stopPropagation(); // the page's keys mean nothing in here
      if (event.key === "Escape") this.close(); // also from a search, which would only empty itself
    });
  }

  open(place: Place | HTMLElement): void {
    document.body.append(this.el);
    this.el.showPopover();
    this.at(place instanceof HTMLElement ? under(place) : place);
    this.back.setAttribute("aria-expanded", "true");
    this.el.querySelector<HTMLElement>("input, button:not(:disabled)")?.focus();
  }

  close(): void {
    if (this.el.isConnected) this.el.hidePopover();
  }

  get isOpen(): boolean {
    return this.el.isConnected;
  }

  private gone(): void {
    this.back.setAttribute("aria-expanded", "false");
    if (this.el.contains(document.activeElement) || document.activeElement === document.body) this.back.focus();
    this.el.remove();
    this.closed?.();
  }

  private at({ x, y, above }: Place): void {
    const { offsetWidth: width, offsetHeight: height } = this.el;
    const top = y + height <= innerHeight - MARGIN ? y : Math.max(MARGIN, above - height);
    this.el.style.left = `${Math.max(MARGIN, Math.min(x, innerWidth - width - MARGIN))}px`;
    this.el.style.top = `${top}px`;
  }
}

function under(anchor: HTMLElement): Place {
  const box = anchor.getBoundingClientRect();
  return { x: box.left, y: box.bottom + 4, above: box.top - 4 };
}

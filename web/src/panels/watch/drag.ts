// Rows moved with the pointer: a line shows where the row would go. Touch screens and keys have Alt+arrows and the menu.

import { mark } from "../../ui/dom.ts";

export function draggable(list: HTMLElement, drop: (id: string, other: string, after: boolean) => void): void {
  let held: HTMLElement | null = null;
  let over: HTMLElement | null = null;
  const rowOf = (target: EventTarget | null): HTMLElement | null => (target instanceof Element ? target.closest<HTMLElement>(".watch-row") : null);
  const leave = (): void => {
    if (over) delete over.dataset["drop"];
    over = null;
  };
  const after = (row: HTMLElement, y: number): boolean => {
    const { top, height } = row.getBoundingClientRect();
    return y > top + height / 2;
  };
  list.addEventListener("dragstart", (event) => {
    held = rowOf(event.target);
    if (!held || !event.dataTransfer) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", held.dataset["id"] ?? "");
    mark(held, "held", "true");
  });
  list.addEventListener("dragover", (event) => {
    const row = rowOf(event.target);
    if (!held || !row) return;
    event.preventDefault();
    if (row !== over) leave();
    over = row;
    mark(row, "drop", after(row, event.clientY) ? "after" : "before");
  });
  list.addEventListener("drop", (event) => {
    const row = rowOf(event.target);
    if (!held || !row) return;
    event.preventDefault();
    drop(held.dataset["id"] ?? "", row.dataset["id"] ?? "", after(row, event.clientY));
  });
  list.addEventListener("dragend", () => {
    leave();
    if (held) delete held.dataset["held"];
    held = null;
  });
}

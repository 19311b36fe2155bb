// Keys work wherever the focus is, except while typing or with a modifier held.

export type Keys = Readonly<Record<string, () => void>>;

export function listen(keys: Keys, blocked: () => boolean): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target as HTMLElement;
    if (target.closest("input, textarea, select")) return;
    if (blocked() && event.key !== "?") return;
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

// Elements by key: made when their item is first named, told what changed, moved to their place, taken away with their item. So nothing
// that stays is made anew, and neither the pointer nor the focus loses what it is on.

export interface Row<T> {
  readonly el: HTMLElement;
  readonly tell: (item: T) => void;
}

export class Rows<T> {
  readonly el: HTMLElement;
  private readonly key: (item: T) => string;
  private readonly make: (item: T) => Row<T>;
  private readonly made = new Map<string, Row<T>>();

  constructor(el: HTMLElement, key: (item: T) => string, make: (item: T) => Row<T>) {
    this.el = el;
    this.key = key;
    this.make = make;
  }

  tell(items: readonly T[]): void {
    const keys = new Set(items.map(this.key));
    for (const [key, row] of this.made) {
      if (keys.has(key)) continue;
      row.el.remove();
      this.made.delete(key);
    }
    items.forEach((item, at) => {
      const key = this.key(item);
      let row = this.made.get(key);
      if (!row) this.made.set(key, (row = this.make(item)));
      row.tell(item);
      if (this.el.children[at] !== row.el) this.el.insertBefore(row.el, this.el.children[at] ?? null);
    });
  }
}

// A list that grows at its newest end, and somebody who reads it: while they read it stands still, and what came is counted. Pure.

export interface Growing {
  readonly total: number; // rows that ever were
  readonly dropped: number; // of which are forgotten
  readonly generation: number; // numbers of another generation mean nothing
}

export type Why = "pointer" | "scroll" | "told";

export class Held {
  /** Rows up to this number are shown. */
  upTo = 0;
  private total = 0;
  private generation = -1;
  private readonly reasons = new Set<Why>();

  get still(): boolean {
    return this.reasons.size > 0;
  }

  get waiting(): number {
    return this.total - this.upTo;
  }

  because(why: Why): boolean {
    return this.reasons.has(why);
  }

  hold(why: Why, on: boolean, list: Growing): void {
    if (on) this.reasons.add(why);
    else this.reasons.delete(why);
    this.saw(list);
  }

  release(list: Growing): void {
    this.reasons.clear();
    this.saw(list);
  }

  /** Rows made anew in between (older ones put before them) keep the reader as far from the newest as before. */
  saw(list: Growing): void {
    const waiting = list.generation === this.generation ? this.waiting + list.total - this.total : this.waiting;
    this.total = list.total;
    this.generation = list.generation;
    this.upTo = Math.max(list.dropped, this.still ? list.total - waiting : list.total);
  }
}

/** Which of `total` rows of one height are in view, from the top: [first, last), with `spare` more on either side. */
export function slice(top: number, height: number, row: number, spare: number, total: number): [number, number] {
  const first = Math.max(0, Math.min(Math.floor(top / row) - spare, total));
  return [first, Math.max(first, Math.min(total, Math.ceil((top + height) / row) + spare))];
}

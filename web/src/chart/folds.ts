// Indicators as folds over bars: one step a bar, each O(its window) or O(1), so that a changed last bar costs one step and not all of
// them. Formulas and seeds are those of TA-Lib, which the server's own indicators use. Pure.
//
//   SMA    mean of the last n closes
//   EMA    a = 2 / (n + 1); the first is the mean of the first n closes
//   BB     SMA(n) and k population standard deviations to either side
//   RSI    Wilder: mean gain and loss of the first n changes, then (m · (n − 1) + x) / n; 100 · g / (g + l), 0 where nothing moved
//   MACD   EMA(fast) − EMA(slow), both begun at the slow one's first bar; its EMA(signal); their difference
//   ATR    Wilder's mean of max(high, close before) − min(low, close before), from the second bar on
//   VWAP   Σ vwap · volume / Σ volume since the UTC day's first bar; a bar without its own vwap counts (high + low + close) / 3
//   delta  2 · buy volume − volume, of a bar whose buyers are known; its sum since the UTC day's first bar

import type { Bar } from "../api/types.ts";

export type Values = readonly (number | null)[];

export interface Fold {
  /** Takes the next bar in. */
  next(bar: Bar): Values;
  /** The same state once more, so that a bar can be tried. */
  copy(): Fold;
  /** Whether what it gave last is known to lack something, beside incomplete bars within the lookback. */
  readonly short?: boolean;
}

const DAY = 86_400e6;
export const dayOf = (bar: Bar): number => Math.floor(bar.ts_open / DAY);
const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/** The last n closes; summed anew each time, since a running sum drifts. */
abstract class Windowed implements Fold {
  protected readonly n: number;
  private closes: number[];

  constructor(n: number, closes: number[] = []) {
    this.n = n;
    this.closes = closes;
  }

  next(bar: Bar): Values {
    this.closes.push(bar.close);
    if (this.closes.length > this.n) this.closes.shift();
    return this.of(this.closes.length < this.n ? null : this.closes);
  }

  copy(): Fold {
    return this.again([...this.closes]);
  }

  protected abstract of(closes: readonly number[] | null): Values;
  protected abstract again(closes: number[]): Fold;
}

export class Sma extends Windowed {
  protected of(closes: readonly number[] | null): Values {
    return [closes && mean(closes)];
  }

  protected again(closes: number[]): Fold {
    return new Sma(this.n, closes);
  }
}

export class Bollinger extends Windowed {
  private readonly k: number;

  constructor(n: number, k: number, closes: number[] = []) {
    super(n, closes);
    this.k = k;
  }

  protected of(closes: readonly number[] | null): Values {
    if (!closes) return [null, null, null];
    const middle = mean(closes);
    const away = this.k * Math.sqrt(mean(closes.map((x) => (x - middle) ** 2)));
    return [middle + away, middle, middle - away];
  }

  protected again(closes: number[]): Fold {
    return new Bollinger(this.n, this.k, closes);
  }
}

/** An exponential mean of numbers, seeded by the mean of the first n; `weight` of the newest. */
class Smooth {
  private readonly n: number;
  private readonly weight: number;
  private seed: number[] = [];
  private value: number | null = null;

  constructor(n: number, weight: number) {
    this.n = n;
    this.weight = weight;
  }

  next(x: number): number | null {
    if (this.value !== null) this.value += (x - this.value) * this.weight;
    else {
      this.seed.push(x);
      if (this.seed.length === this.n) this.value = mean(this.seed);
    }
    return this.value;
  }

  copy(): Smooth {
    const other = new Smooth(this.n, this.weight);
    other.seed = this.value === null ? [...this.seed] : [];
    other.value = this.value;
    return other;
  }
}

const exponential = (n: number): Smooth => new Smooth(n, 2 / (n + 1));
const wilder = (n: number): Smooth => new Smooth(n, 1 / n);

export class Ema implements Fold {
  private smooth: Smooth;

  constructor(n: number) {
    this.smooth = exponential(n);
  }

  next(bar: Bar): Values {
    return [this.smooth.next(bar.close)];
  }

  copy(): Fold {
    const other = new Ema(1);
    other.smooth = this.smooth.copy();
    return other;
  }
}

export class Rsi implements Fold {
  private gain: Smooth;
  private loss: Smooth;
  private before: number | null = null;

  constructor(n: number) {
    this.gain = wilder(n);
    this.loss = wilder(n);
  }

  next({ close }: Bar): Values {
    const change = this.before === null ? null : close - this.before;
    this.before = close;
    if (change === null) return [null];
    const gain = this.gain.next(Math.max(0, change));
    const loss = this.loss.next(Math.max(0, -change));
    if (gain === null || loss === null) return [null];
    return [gain + loss === 0 ? 0 : (100 * gain) / (gain + loss)];
  }

  copy(): Fold {
    const other = new Rsi(1);
    Object.assign(other, { gain: this.gain.copy(), loss: this.loss.copy(), before: this.before });
    return other;
  }
}

export class Macd implements Fold {
  private fast: Smooth;
  private slow: Smooth;
  private signal: Smooth;
  private waiting: number; // bars that only the slower one takes, so that both begin together

  constructor(fast: number, slow: number, signal: number) {
    this.fast = exponential(Math.min(fast, slow));
    this.slow = exponential(Math.max(fast, slow));
    this.signal = exponential(signal);
    this.waiting = Math.abs(slow - fast);
  }

  next({ close }: Bar): Values {
    const slow = this.slow.next(close);
    const fast = this.waiting > 0 ? null : this.fast.next(close);
    this.waiting = Math.max(0, this.waiting - 1);
    if (fast === null || slow === null) return [null, null, null];
    const line = fast - slow;
    const signal = this.signal.next(line);
    return signal === null ? [null, null, null] : [line, signal, line - signal];
  }

  copy(): Fold {
    const other = new Macd(1, 2, 1);
    Object.assign(other, { fast: this.fast.copy(), slow: this.slow.copy(), signal: this.signal.copy(), waiting: this.waiting });
    return other;
  }
}

export class Atr implements Fold {
  private smooth: Smooth;
  private before: number | null = null;

  constructor(n: number) {
    this.smooth = wilder(n);
  }

  next({ high, low, close }: Bar): Values {
    const { before } = this;
    this.before = close;
    return [before === null ? null : this.smooth.next(Math.max(high, before) - Math.min(low, before))];
  }

  copy(): Fold {
    const other = new Atr(1);
    Object.assign(other, { smooth: this.smooth.copy(), before: this.before });
    return other;
  }
}

/** Sums that begin anew with each UTC day. The first day is cut off where the bars begin within it. */
abstract class Daily implements Fold {
  short = false;
  protected a = 0;
  protected b = 0;
  private day = -1;

  next(bar: Bar): Values {
    const day = dayOf(bar);
    if (day !== this.day) {
      this.a = this.b = 0;
      this.short = this.day < 0 && bar.ts_open % DAY !== 0;
      this.day = day;
    }
    return this.add(bar);
  }

  copy(): Fold {
    return Object.assign(Object.create(Object.getPrototypeOf(this) as object) as Daily, this);
  }

  protected abstract add(bar: Bar): Values;
}

export class Vwap extends Daily {
  protected add(bar: Bar): Values {
    const price = bar.vwap ?? (bar.high + bar.low + bar.close) / 3;
    this.a += price * bar.volume;
    this.b += bar.volume;
    if (!bar.complete) this.short = true; // its trades are missing for the rest of the day
    return [this.b > 0 ? this.a / this.b : null];
  }
}

export const deltaOf = (bar: Bar): number | null => (bar.buy_volume === null ? null : 2 * bar.buy_volume - bar.volume);

export class Delta extends Daily {
  protected add(bar: Bar): Values {
    const delta = deltaOf(bar);
    this.a += delta ?? 0;
    if (delta === null || !bar.complete) this.short = true;
    return [delta, this.a];
  }
}

/** A fixed set of named counters in one typed array; units add by index. */
import { invariant } from '../errors.ts';

export class CounterSet {
  readonly names: readonly string[];
  readonly values: Float64Array;

  constructor(names: readonly string[]) {
    this.names = names;
    this.values = new Float64Array(names.length);
  }

  add(index: number, amount: number): void {
    this.values[index] += amount;
  }

  merge(other: CounterSet): void {
    invariant(other.names.join() === this.names.join(), 'merged counter sets have the same names');
    for (let i = 0; i < this.values.length; i++) this.values[i] += other.values[i];
  }

  toPlain(): Record<string, number> {
    return Object.fromEntries(this.names.map((name, i) => [name, this.values[i] as number]));
  }
}

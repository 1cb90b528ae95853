/**
 * Overflow of the timing wheel: events too far ahead for it, ordered by (cycle, sequence). A binary
 * heap over typed arrays; an event is the index of its node in the queue's pool. The child to follow
 * is chosen by arithmetic, because a branch there is a coin toss that the CPU cannot predict.
 */

export class FarHeap {
  /** Cycle of the earliest event, Infinity when empty. */
  top: number = Number.POSITIVE_INFINITY;
  size = 0;
  private cycles = new Float64Array(256);
  private sequences = new Float64Array(256);
  private nodes = new Int32Array(256);
  private sequence = 0;

  push(cycle: number, node: number): void {
    // One slot stays free behind the last, for the sentinel of pop().
    if (this.size + 1 >= this.nodes.length) this.grow();
    const { cycles, sequences, nodes } = this;
    let hole = this.size++;
    // The new event has the highest sequence: equal cycles stay above it.
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (cycles[parent] <= cycle) break;
      cycles[hole] = cycles[parent];
      sequences[hole] = sequences[parent];
      nodes[hole] = nodes[parent];
      hole = parent;
    }
    cycles[hole] = cycle;
    sequences[hole] = this.sequence++;
    nodes[hole] = node;
    this.top = cycles[0];
  }

  /** Removes the earliest event and returns its node; the heap is not empty. */
  pop(): number {
    const { cycles, sequences, nodes } = this;
    const result = nodes[0];
    const size = --this.size;
    const cycle = cycles[size];
    const sequence = sequences[size];
    cycles[size] = Number.POSITIVE_INFINITY;
    let hole = 0;
    for (let left = 1; left < size; left = 2 * hole + 1) {
      const right = left + 1;
      const later = cycles[right] - cycles[left];
      const child =
        left +
        (Number(later < 0) | (Number(later === 0) & Number(sequences[right] < sequences[left])));
      const gap = cycles[child] - cycle;
      if (gap > 0 || (gap === 0 && sequences[child] > sequence)) break;
      cycles[hole] = cycles[child];
      sequences[hole] = sequences[child];
      nodes[hole] = nodes[child];
      hole = child;
    }
    if (size > 0) {
      cycles[hole] = cycle;
      sequences[hole] = sequence;
      nodes[hole] = nodes[size];
    }
    this.top = cycles[0];
    return result;
  }

  /** Calls back for every event, in no particular order. */
  forEach(visit: (cycle: number, node: number) => void): void {
    for (let i = 0; i < this.size; i++) visit(this.cycles[i], this.nodes[i]);
  }

  private grow(): void {
    const capacity = this.nodes.length * 2;
    const cycles = new Float64Array(capacity);
    const sequences = new Float64Array(capacity);
    const nodes = new Int32Array(capacity);
    cycles.set(this.cycles);
    sequences.set(this.sequences);
    nodes.set(this.nodes);
    this.cycles = cycles;
    this.sequences = sequences;
    this.nodes = nodes;
  }
}

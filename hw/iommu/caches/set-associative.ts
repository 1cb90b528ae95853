/**
 * Tag store of a set-associative cache: which key is in which slot, and which slot a new key gets.
 * Users keep the data in arrays of their own, indexed by slot. Lookups go through one hash index
 * over all slots, so that the number of ways (up to fully associative) costs nothing in simulation.
 */
import { invariant } from '../../../sim/errors.ts';
import type { ReplacementPolicy } from '../spec.ts';

/** Size and policy of a cache; zero sets or ways: the cache is absent. */
export interface Geometry {
  readonly sets: number;
  readonly ways: number;
  readonly policy: ReplacementPolicy;
}

export const ABSENT: Geometry = { sets: 0, ways: 0, policy: 'lru' };

const LRU = 0;
const TREE = 1;
const RANDOM = 2;
const POLICY_NUMBER: Readonly<Record<ReplacementPolicy, number>> = {
  lru: LRU,
  plru: TREE,
  random: RANDOM,
};

const KEY_WORDS = 4;
const XORSHIFT_SEED = 0x2545f491;

/** Fixed hash of a key. */
function hashKey(k0: number, k1: number, k2: number, k3: number): number {
  let hash = Math.imul(k3, 0x9e3779b1) ^ Math.imul(k2, 0x85ebca6b);
  hash ^= Math.imul(k1, 0xc2b2ae35) ^ Math.imul(k0, 0x27d4eb2f);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 4;
}

/**
 * Set number of a key before reduction to the number of sets: neighbouring pages or prefixes of one
 * address space fall into neighbouring sets; a fixed hash of the rest sets address spaces apart.
 */
export function setIndex(k0: number, k1: number, hi: number, lo: number, shift: number): number {
  const inHigh = shift >= 27;
  const low = inHigh ? hi >>> (shift - 27) : lo >>> shift;
  return low + (hashKey(k0, k1, inHigh ? 0 : hi, 0) & 0xffffff);
}

export class SetAssociative {
  readonly sets: number;
  readonly ways: number;
  /** Number of slots: 0 when the cache is absent. */
  readonly entries: number;
  /** Whether a slot holds a key. */
  readonly live: Uint8Array;
  /** Number of slots in use. */
  used = 0;
  /** The slots in use, in no particular order. To remove some of them, go from the end. */
  readonly inUse: Int32Array;
  /** Keys that had to go to make room. */
  evictions = 0;
  private readonly policy: number;
  private readonly keys: Int32Array;
  private readonly heads: Int32Array;
  private readonly chain: Int32Array;
  private readonly usedOf: Int32Array;
  /** Where a slot stands in `inUse`. */
  private readonly placeOf: Int32Array;
  /** Most to least recently used, per set: neighbours of each slot and both ends of each set. */
  private readonly newer: Int32Array;
  private readonly older: Int32Array;
  private readonly newest: Int32Array;
  private readonly oldest: Int32Array;
  /** Tree pseudo-LRU: one bit per inner node, `leaves` nodes per set (node 1 is the root). */
  private readonly leaves: number;
  private readonly tree: Uint8Array;
  private random = XORSHIFT_SEED;

  constructor(geometry: Geometry) {
    const { sets, ways, policy } = geometry;
    const entries = sets * ways;
    invariant(Number.isInteger(entries) && entries >= 0, `cache of ${sets} sets, ${ways} ways`);
    this.sets = sets;
    this.ways = ways;
    this.entries = entries;
    this.policy = POLICY_NUMBER[policy];
    this.live = new Uint8Array(entries);
    this.keys = new Int32Array(entries * KEY_WORDS);
    let buckets = 2;
    while (buckets < entries * 2) buckets *= 2;
    this.heads = new Int32Array(buckets);
    this.chain = new Int32Array(entries);
    this.usedOf = new Int32Array(sets);
    this.inUse = new Int32Array(entries);
    this.placeOf = new Int32Array(entries);
    const listed = this.policy === LRU ? entries : 0;
    this.newer = new Int32Array(listed);
    this.older = new Int32Array(listed);
    this.newest = new Int32Array(listed === 0 ? 0 : sets);
    this.oldest = new Int32Array(listed === 0 ? 0 : sets);
    let leaves = 1;
    while (leaves < ways) leaves *= 2;
    this.leaves = leaves;
    this.tree = new Uint8Array(this.policy === TREE ? sets * leaves : 0);
    this.clear();
  }

  /** Forgets every key. */
  clear(): void {
    this.live.fill(0);
    this.heads.fill(-1);
    this.usedOf.fill(0);
    this.tree.fill(0);
    this.used = 0;
    for (let set = 0; set < this.newest.length; set++) {
      const base = set * this.ways;
      this.newest[set] = base;
      this.oldest[set] = base + this.ways - 1;
      for (let slot = base; slot < base + this.ways; slot++) {
        this.newer[slot] = slot === base ? -1 : slot - 1;
        this.older[slot] = slot === base + this.ways - 1 ? -1 : slot + 1;
      }
    }
  }

  /** Slot of a key, or -1. Does not count as a use. */
  find(k0: number, k1: number, k2: number, k3: number): number {
    const heads = this.heads;
    const keys = this.keys;
    let slot = heads[hashKey(k0, k1, k2, k3) & (heads.length - 1)];
    while (slot >= 0) {
      const at = slot * KEY_WORDS;
      if (keys[at + 3] === k3 && keys[at + 2] === k2 && keys[at + 1] === k1 && keys[at] === k0) {
        return slot;
      }
      slot = this.chain[slot];
    }
    return -1;
  }

  /** Word `index` (0 to 3) of the key in a slot. */
  key(slot: number, index: number): number {
    return this.keys[slot * KEY_WORDS + index];
  }

  /** Marks a slot as used just now. */
  touch(slot: number): void {
    if (this.policy === LRU) this.moveToFront(slot);
    else if (this.policy === TREE) this.pointAway(slot);
  }

  /**
   * Slot for a new key: an empty one of the set, else the policy's choice.
   * @param index set number before reduction, see {@link setIndex}
   */
  victim(index: number): number {
    const set = index % this.sets;
    const base = set * this.ways;
    if (this.usedOf[set] < this.ways) {
      let slot = base;
      while (this.live[slot] !== 0) slot++;
      return slot;
    }
    if (this.policy === LRU) return this.oldest[set];
    if (this.policy === TREE) return base + this.pointed(set);
    this.random ^= this.random << 13;
    this.random ^= this.random >>> 17;
    this.random ^= this.random << 5;
    return base + ((this.random >>> 1) % this.ways);
  }

  /** Puts a key that is not present into the slot that {@link victim} chose; counts as a use. */
  place(slot: number, k0: number, k1: number, k2: number, k3: number): void {
    if (this.live[slot] !== 0) {
      this.evictions++;
      this.unlink(slot);
    } else {
      this.live[slot] = 1;
      this.usedOf[Math.floor(slot / this.ways)]++;
      this.placeOf[slot] = this.used;
      this.inUse[this.used++] = slot;
    }
    const at = slot * KEY_WORDS;
    this.keys[at] = k0;
    this.keys[at + 1] = k1;
    this.keys[at + 2] = k2;
    this.keys[at + 3] = k3;
    const bucket = hashKey(k0, k1, k2, k3) & (this.heads.length - 1);
    this.chain[slot] = this.heads[bucket];
    this.heads[bucket] = slot;
    this.touch(slot);
  }

  /** Empties a slot in use. */
  remove(slot: number): void {
    this.unlink(slot);
    this.live[slot] = 0;
    const place = this.placeOf[slot];
    const last = this.inUse[--this.used];
    this.inUse[place] = last;
    this.placeOf[last] = place;
    this.usedOf[Math.floor(slot / this.ways)]--;
  }

  private unlink(slot: number): void {
    const at = slot * KEY_WORDS;
    const keys = this.keys;
    const hash = hashKey(keys[at], keys[at + 1], keys[at + 2], keys[at + 3]);
    const bucket = hash & (this.heads.length - 1);
    let before = this.heads[bucket];
    if (before === slot) {
      this.heads[bucket] = this.chain[slot];
      return;
    }
    while (this.chain[before] !== slot) before = this.chain[before];
    this.chain[before] = this.chain[slot];
  }

  private moveToFront(slot: number): void {
    const newer = this.newer[slot];
    if (newer < 0) return;
    const set = Math.floor(slot / this.ways);
    const older = this.older[slot];
    this.older[newer] = older;
    if (older < 0) this.oldest[set] = newer;
    else this.newer[older] = newer;
    const front = this.newest[set];
    this.newer[front] = slot;
    this.older[slot] = front;
    this.newer[slot] = -1;
    this.newest[set] = slot;
  }

  /** Turns the nodes above a slot so that they point to the other side. */
  private pointAway(slot: number): void {
    const set = Math.floor(slot / this.ways);
    const base = set * this.leaves;
    let node = slot - set * this.ways + this.leaves;
    while (node > 1) {
      this.tree[base + (node >> 1)] = (node & 1) ^ 1;
      node >>= 1;
    }
  }

  /** Way that the tree points to. Where ways are no power of two, some right sides are empty. */
  private pointed(set: number): number {
    const base = set * this.leaves;
    let node = 1;
    let first = 0;
    let width = this.leaves;
    while (width > 1) {
      width >>= 1;
      const right = this.tree[base + node] !== 0 && first + width < this.ways;
      node = node * 2 + (right ? 1 : 0);
      if (right) first += width;
    }
    return first;
  }
}

/**
 * The recorded run as far as it is known: sequences of all files of a folder, in the order of their
 * ids, that map files of their own context, and what is left on the kernel after each of them; and
 * what the answers of other sequences have shown to be left.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { IOAS_MAP_FILE } from '../../../hw/host/iommufd/uapi/structs.ts';
import { formProblem } from './case-form.ts';
import { bytesOf, type RecordedCase, type RecordedLayout } from './cases.ts';
import { LeftoverSearch } from './leftover-search.ts';
import { exceeds, type Leftovers, NO_LEFTOVERS, union } from './leftovers.ts';
import type { CaseMemory } from './machine.ts';

/** Descriptors from here on name files that the generator opened before the sequence. */
const FIRST_GIVEN_FD = 100;

interface Milestone {
  readonly id: string;
  readonly after: Leftovers;
}

export class EarlierSequences {
  private readonly milestones: readonly Milestone[];
  /** What cases have shown, in the order in which they were judged. */
  private readonly shown: Milestone[] = [];

  constructor(
    folder: string,
    layoutOf: (of: RecordedCase) => RecordedLayout | null,
    memory: CaseMemory,
  ) {
    const milestones: Milestone[] = [];
    let state = NO_LEFTOVERS;
    for (const of of selfMapping(folder)) {
      const search = new LeftoverSearch(of, layoutOf(of), memory, null);
      if (search.run(state) !== null) continue;
      state = union(state, search.known);
      milestones.push({ id: of.id, after: state });
    }
    this.milestones = milestones;
  }

  /** What the sequences before a case have left. Ids have the same number of digits. */
  before({ id }: RecordedCase): Leftovers {
    let last = NO_LEFTOVERS;
    for (const milestone of this.milestones) {
      if (milestone.id >= id) break;
      last = milestone.after;
    }
    for (const { id: shownBy, after } of this.shown) if (shownBy < id) last = union(last, after);
    return last;
  }

  /** A case has shown what is left by then; `known` is what was known of it before. */
  learn({ id }: RecordedCase, after: Leftovers, known: Leftovers): void {
    if (exceeds(after, known)) this.shown.push({ id, after });
  }
}

/** Sequences of a folder that map a file which they opened themselves, by id. */
function selfMapping(folder: string): RecordedCase[] {
  if (!existsSync(folder)) return [];
  const found: RecordedCase[] = [];
  for (const name of readdirSync(folder)) {
    if (!/\.jsonl(\.gz)?$/.test(name)) continue;
    const content = readFileSync(join(folder, name));
    const text = (name.endsWith('.gz') ? gunzipSync(content) : content).toString('utf8');
    for (const line of text.split('\n')) {
      if (!line.includes('"IOAS_MAP_FILE"')) continue;
      const of = caseOf(line);
      if (of?.src === 'fuzz' && of.ops.some(mapsOpened)) found.push(of);
    }
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Null: what the line holds cannot be replayed, which is said where it is judged. */
function caseOf(line: string): RecordedCase | null {
  try {
    const of: unknown = JSON.parse(line);
    return formProblem(of) === null ? (of as RecordedCase) : null;
  } catch {
    return null;
  }
}

function mapsOpened(op: RecordedCase['ops'][number]): boolean {
  if (op.op !== 'ioctl' || op.name !== 'IOAS_MAP_FILE' || op.err !== 0) return false;
  const bytes = bytesOf(op.in ?? '');
  if (bytes.length < IOAS_MAP_FILE.size) return false;
  const fd = new DataView(bytes.buffer, bytes.byteOffset).getInt32(IOAS_MAP_FILE.at.fd, true);
  return fd < FIRST_GIVEN_FD;
}

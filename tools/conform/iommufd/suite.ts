/** The suite of recorded /dev/iommu cases. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ConformOptions, PASSED, type Suite, type SuiteRun, type Verdict } from '../suite.ts';
import { formProblem } from './case-form.ts';
import { isRecordedCase, parseLayouts, type RecordedCase, type RecordedLayout } from './cases.ts';
import { EarlierSequences } from './earlier-sequences.ts';
import { ASSUMED_LAYOUT } from './fuzz-memory.ts';
import { LeftoverSearch } from './leftover-search.ts';
import { NO_LEFTOVERS } from './leftovers.ts';
import { CaseMemory } from './machine.ts';
import { CallProfile } from './profile.ts';
import { MismatchGroups, mismatchText } from './report.ts';

const LAYOUTS = 'fuzz-layouts.json';

export const iommufdSuite: Suite = {
  name: 'iommufd',
  recognises: isRecordedCase,
  open: (path, options) => new IommufdRun(dirname(path), options),
};

/** By folder: what files have in common is read once. */
const earlierOf = new Map<string, EarlierSequences>();

class IommufdRun implements SuiteRun {
  private readonly folder: string;
  private layouts: readonly RecordedLayout[] | null = null;
  private readonly memory = new CaseMemory();
  private readonly groups = new MismatchGroups();
  private readonly profile: CallProfile | null;
  private explained = 0;
  /** The layouts are not there. */
  private assumed = false;

  constructor(folder: string, { profile = false }: ConformOptions) {
    this.folder = folder;
    this.profile = profile ? new CallProfile() : null;
  }

  judge(line: unknown): Verdict {
    const problem = formProblem(line);
    if (problem !== null) return { kind: 'failed', text: `cannot be replayed: ${problem}` };
    const of = line as RecordedCase;
    try {
      return this.judgeCase(of);
    } catch (error) {
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      return { kind: 'failed', text: `${of.id} cannot be replayed: ${text}` };
    }
  }

  summary(): readonly string[] {
    const explained =
      this.explained === 0
        ? []
        : [`${this.explained} cases see pins or charges left by sequences that are not there`];
    const assumed = this.assumed
      ? [`${join(this.folder, LAYOUTS)} is not there: the frames behind memory are assumed`]
      : [];
    return [...this.groups.lines(), ...explained, ...assumed, ...(this.profile?.lines() ?? [])];
  }

  private judgeCase(of: RecordedCase): Verdict {
    const layout = this.layoutOf(of);
    if (layout === undefined) return { kind: 'failed', text: `${of.id}: no layout ${of.layout}` };
    if (this.assumed && of.phys_dependent === true) {
      return { kind: 'skipped', reason: `what depends on adjacent frames needs ${LAYOUTS}` };
    }
    const search = new LeftoverSearch(of, layout, this.memory, this.profile);
    const known = layout === null ? NO_LEFTOVERS : this.earlier().before(of);
    const mismatch = search.run(known);
    if (mismatch !== null) {
      this.groups.add(of, mismatch);
      return { kind: 'failed', text: mismatchText(of, mismatch) };
    }
    if (search.assumed) this.explained++;
    if (layout !== null) this.earlier().learn(of, search.known, known);
    return PASSED;
  }

  private earlier(): EarlierSequences {
    let earlier = earlierOf.get(this.folder);
    if (earlier === undefined) {
      earlier = new EarlierSequences(
        this.folder,
        (other) => this.layoutOf(other) ?? null,
        this.memory,
      );
      earlierOf.set(this.folder, earlier);
    }
    return earlier;
  }

  /** Null: a case that brings its own memory. Undefined: there is no such layout. */
  private layoutOf({ layout }: RecordedCase): RecordedLayout | null | undefined {
    if (layout === undefined) return null;
    if (this.layouts === null) {
      const path = join(this.folder, LAYOUTS);
      this.assumed = !existsSync(path);
      this.layouts = this.assumed ? [] : parseLayouts(readFileSync(path, 'utf8'), path);
    }
    return this.assumed ? ASSUMED_LAYOUT : this.layouts[layout];
  }
}

/** The suite of recorded /dev/iommu cases. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { InputError } from '../../../sim/errors.ts';
import { type ConformOptions, PASSED, type Suite, type SuiteRun, type Verdict } from '../suite.ts';
import { isRecordedCase, parseLayouts, type RecordedCase, type RecordedLayout } from './cases.ts';
import { bootCase, CaseMemory } from './machine.ts';
import { CallProfile } from './profile.ts';
import { replayCase } from './replay.ts';
import { MismatchGroups, mismatchText } from './report.ts';

const LAYOUTS = 'fuzz-layouts.json';

export const iommufdSuite: Suite = {
  name: 'iommufd',
  recognises: isRecordedCase,
  open: (path, options) => new IommufdRun(join(dirname(path), LAYOUTS), options),
};

class IommufdRun implements SuiteRun {
  private readonly layoutPath: string;
  private layouts: readonly RecordedLayout[] | null = null;
  private readonly memory = new CaseMemory();
  private readonly groups = new MismatchGroups();
  private readonly profile: CallProfile | null;

  constructor(layoutPath: string, { profile = false }: ConformOptions) {
    this.layoutPath = layoutPath;
    this.profile = profile ? new CallProfile() : null;
  }

  judge(line: unknown): Verdict {
    const of = line as RecordedCase;
    const program = bootCase(of, this.layoutOf(of), this.memory);
    const mismatch = replayCase(of, program, this.profile);
    if (mismatch === null) return PASSED;
    this.groups.add(of, mismatch);
    return { kind: 'failed', text: mismatchText(of, mismatch) };
  }

  summary(): readonly string[] {
    return [...this.groups.lines(), ...(this.profile?.lines() ?? [])];
  }

  private layoutOf({ id, layout }: RecordedCase): RecordedLayout | null {
    if (layout === undefined) return null;
    if (this.layouts === null) {
      if (!existsSync(this.layoutPath)) {
        throw new InputError('conform', `${this.layoutPath} is needed for generated cases`);
      }
      this.layouts = parseLayouts(readFileSync(this.layoutPath, 'utf8'), this.layoutPath);
    }
    const found = this.layouts[layout];
    if (found === undefined) throw new InputError('conform', `${id}: no layout ${layout}`);
    return found;
  }
}

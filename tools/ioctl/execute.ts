/**
 * Carries out command lines: finds the command, runs it, prints what came of it as text or as a
 * line of JSON, and keeps account of calls that were not answered as expected.
 */
import { existsSync, readFileSync } from 'node:fs';
import { ERRNO } from '../../hw/host/kernel/errno.ts';
import { didYouMean } from '../../scenarios/nearest.ts';
import { InputError } from '../../sim/errors.ts';
import type { Io } from '../io.ts';
import { runIoctl } from './calls.ts';
import { TOOL_COMMANDS, toolCommand } from './commands/table.ts';
import { hexNumber } from './dump.ts';
import { IOCTL_WORDS, ioctlKey } from './fields.ts';
import type { Answer, Outcome, Session } from './session.ts';
import { Arguments, type Item, itemsOf, splitCommands } from './words.ts';

/** Scripts that run scripts, at most so deep. */
const SCRIPT_DEPTH = 16;

export interface ExecutorOptions {
  /** Lines of JSON instead of text. */
  readonly json: boolean;
  /** A call that is refused without `--expect` counts as unexpected. */
  readonly strict: boolean;
  /** Prints each command before what came of it (nobody has typed it). */
  readonly echo: boolean;
}

/** A mistake with its place. */
class ScriptError extends InputError {}

export class Executor {
  readonly session: Session;
  private readonly io: Io;
  private readonly options: ExecutorOptions;
  private depth = 0;

  constructor(session: Session, io: Io, options: ExecutorOptions) {
    this.session = session;
    this.io = io;
    this.options = options;
  }

  /** Runs the commands of one line. */
  line(line: string): void {
    for (const words of splitCommands(line)) {
      if (this.session.ended) return;
      const [first, ...rest] = words;
      const items = itemsOf(rest);
      const text = words.map(({ text: word }) => (/[\s;#]/.test(word) ? `'${word}'` : word));
      if (first !== undefined) this.command(first.text, items, text.join(' '));
    }
  }

  /** Runs many lines; what is wrong is told with its place. */
  script(text: string, name: string): void {
    for (const [at, line] of text.split('\n').entries()) {
      if (this.session.ended) return;
      try {
        this.line(line);
      } catch (error) {
        if (!(error instanceof InputError) || error instanceof ScriptError) throw error;
        throw new ScriptError(error.code, `${name}:${at + 1}: ${error.message}`);
      }
    }
  }

  source(path: string): void {
    if (!existsSync(path)) throw new InputError('ioctl-source', `there is no file ${path}`);
    if (this.depth >= SCRIPT_DEPTH) {
      throw new InputError('ioctl-source', `scripts run each other deeper than ${SCRIPT_DEPTH}`);
    }
    this.depth++;
    try {
      this.script(readFileSync(path, 'utf8'), path);
    } finally {
      this.depth--;
    }
  }

  private command(name: string, given: readonly Item[], text: string): void {
    const { items, expected } = takeExpected(given);
    if (this.options.echo && !this.options.json) {
      this.io.out(`${this.session.palette.dim('iommu>')} ${text}\n`);
    }
    const outcome = this.run(name, items);
    if (outcome === null) return;
    const hardware = this.session.machine.takeRecords();
    const unexpected = this.judge(outcome.answer, expected);
    this.session.history.push({ line: text, result: resultText(outcome.answer) });
    if (this.options.json) {
      const record = {
        line: text,
        ...outcome.record,
        ...(hardware.length > 0 && { hardware }),
        ...(unexpected && { unexpected }),
      };
      this.io.out(`${JSON.stringify(record, plainNumber)}\n`);
      return;
    }
    const { dim, bad } = this.session.palette;
    const lines = [
      ...outcome.lines,
      ...hardware.map((record) => dim(`  hardware: ${record}`)),
      ...(unexpected ? [bad(`  unexpected: ${unexpected}`)] : []),
    ];
    if (lines.length > 0) this.io.out(`${lines.join('\n')}\n`);
  }

  private run(name: string, items: readonly Item[]): Outcome | null {
    const tool = toolCommand(name);
    if (tool !== null) return tool.run(this.session, new Arguments(name, items), this);
    const key = ioctlKey(name);
    if (key !== null) return runIoctl(this.session, key, items);
    const known = [...TOOL_COMMANDS.map((command) => command.name), ...IOCTL_WORDS];
    const hint = didYouMean(name.toLowerCase(), known) || ' (help lists the commands)';
    throw new InputError('ioctl-command', `no command is called "${name}"${hint}`);
  }

  /** What was expected instead; empty: the answer is as expected. */
  private judge(answer: Answer | null, expected: string | null): string {
    if (answer === null) return '';
    const wanted = expected ?? (this.options.strict ? '' : answer.error);
    if (answer.error === wanted) return '';
    this.session.unexpected++;
    return `${wanted || 'success'} was expected`;
  }
}

/** `--expect EINVAL`, which every command takes; null: nothing was said. */
function takeExpected(given: readonly Item[]): { items: Item[]; expected: string | null } {
  const isExpect = (item: Item): boolean => item.kind === 'option' && item.name === 'expect';
  const option = given.find(isExpect);
  const items = given.filter((item) => !isExpect(item));
  if (option?.kind !== 'option') return { items, expected: null };
  const name = (option.value ?? '').toUpperCase();
  if (name === 'OK' || name === '0') return { items, expected: '' };
  if (name in ERRNO) return { items, expected: name };
  const hint = didYouMean(name, Object.keys(ERRNO)) || ' (an errno by name, or ok)';
  throw new InputError('ioctl-usage', `--expect ${option.value ?? ''}: no such error${hint}`);
}

function resultText(answer: Answer | null): string {
  if (answer === null) return '';
  return answer.errno === 0 ? `-> ${answer.value}` : `-> ${answer.error}`;
}

/** 64-bit numbers are text in hexadecimal: they do not fit a JSON number. */
function plainNumber(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? hexNumber(value) : value;
}

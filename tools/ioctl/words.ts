/**
 * Command lines of `iommusim ioctl`: commands apart from each other, words of a command, and what
 * each word is: `--option value`, `field=value`, or a word by itself.
 */
import { InputError } from '../../sim/errors.ts';

export interface OptionItem {
  readonly kind: 'option';
  readonly name: string;
  /** Null: nothing follows that could be its value. */
  readonly value: string | null;
}

export interface PairItem {
  readonly kind: 'pair';
  readonly name: string;
  readonly value: string;
}

export interface WordItem {
  readonly kind: 'word';
  readonly text: string;
}

export type Item = OptionItem | PairItem | WordItem;

interface Word {
  readonly text: string;
  /** Some of it stood in quotes: never an option, never a pair. */
  readonly quoted: boolean;
}

/** Options that take no value. */
const SWITCHES: ReadonlySet<string> = new Set(['entry', 'exact', 'more']);

/** Words of each command of a line; `;` ends a command, `#` begins a comment. */
export function splitCommands(line: string): Word[][] {
  const commands: Word[][] = [];
  let words: Word[] = [];
  let at = 0;
  while (at < line.length) {
    const char = line[at] as string;
    if (/\s/.test(char)) {
      at++;
    } else if (char === '#') {
      break;
    } else if (char === ';') {
      commands.push(words);
      words = [];
      at++;
    } else {
      const { word, end } = wordAt(line, at);
      words.push(word);
      at = end;
    }
  }
  commands.push(words);
  return commands.filter((command) => command.length > 0);
}

function wordAt(line: string, start: number): { word: Word; end: number } {
  let text = '';
  let quoted = false;
  let at = start;
  while (at < line.length && !/[\s;]/.test(line[at] as string)) {
    const char = line[at] as string;
    if (char !== '"' && char !== "'") {
      text += char;
      at++;
      continue;
    }
    const end = line.indexOf(char, at + 1);
    if (end < 0) throw new InputError('ioctl-quote', `the quote ${char} is not closed: ${line}`);
    text += line.slice(at + 1, end);
    quoted = true;
    at = end + 1;
  }
  return { word: { text, quoted }, end: at };
}

/** What the words after the command's name are. */
export function itemsOf(words: readonly Word[]): Item[] {
  const items: Item[] = [];
  for (let at = 0; at < words.length; at++) {
    const { text, quoted } = words[at] as Word;
    if (!quoted && text.startsWith('--')) {
      const equals = text.indexOf('=');
      if (equals > 0) {
        const name = text.slice(2, equals);
        items.push({ kind: 'option', name, value: text.slice(equals + 1) });
        continue;
      }
      const name = text.slice(2);
      const next = words[at + 1];
      const takes = !SWITCHES.has(name) && next !== undefined && !next.text.startsWith('--');
      items.push({ kind: 'option', name, value: takes ? next.text : null });
      if (takes) at++;
      continue;
    }
    const pair = /^([A-Za-z_][\w.-]*)=([\s\S]*)$/.exec(text);
    if (pair !== null) items.push({ kind: 'pair', name: pair[1], value: pair[2] });
    else items.push({ kind: 'word', text });
  }
  return items;
}

/** Items of a command that knows which words, options and pairs it takes. */
export class Arguments {
  readonly command: string;
  readonly items: readonly Item[];
  private readonly taken: Set<Item> = new Set();

  constructor(command: string, items: readonly Item[]) {
    this.command = command;
    this.items = items;
  }

  /** The next word; null: there are no more. */
  word(): string | null {
    for (const item of this.items) {
      if (item.kind !== 'word' || this.taken.has(item)) continue;
      this.taken.add(item);
      return item.text;
    }
    return null;
  }

  needed(what: string): string {
    return this.word() ?? fail(`${this.command}: give ${what} (help ${this.command})`);
  }

  /** Value of `--name value` or `name=value`; null: not given. */
  named(name: string): string | null {
    const item = this.items.findLast((found) => found.kind !== 'word' && found.name === name);
    if (item === undefined || item.kind === 'word') return null;
    this.taken.add(item);
    return item.value ?? fail(`${this.command}: --${name} needs a value`);
  }

  switched(name: string): boolean {
    const item = this.items.find((found) => found.kind === 'option' && found.name === name);
    if (item !== undefined) this.taken.add(item);
    return item !== undefined;
  }

  /** Everything not asked for so far, which is then taken. */
  rest(): Item[] {
    const left = this.items.filter((item) => !this.taken.has(item));
    for (const item of left) this.taken.add(item);
    return left;
  }

  /** Refuses what the command did not ask for. */
  end(): void {
    const [left] = this.rest();
    if (left === undefined) return;
    const text = left.kind === 'word' ? left.text : left.name;
    fail(`${this.command}: "${text}" means nothing here (help ${this.command})`);
  }
}

function fail(message: string): never {
  throw new InputError('ioctl-usage', message);
}

/**
 * From the words of a command to the fields of an ioctl: short names of fields, data behind
 * pointers, and what is filled in where nobody said it (unless `--exact`).
 */
import type { CallOptions } from '../../hw/host/iommufd/client/call.ts';
import { type CallFields, type CallValue, tableKey } from '../../hw/host/iommufd/client/request.ts';
import type { Integer } from '../../hw/host/iommufd/uapi/codec.ts';
import {
  type DataSpec,
  IOCTLS,
  type IoctlSpec,
  PLAIN_IOCTLS,
  TEST_FORMS,
} from '../../hw/host/iommufd/uapi/ioctls.ts';
import type { Layout } from '../../hw/host/iommufd/uapi/layout.ts';
import { describe } from '../../hw/host/iommufd/uapi/symbolic.ts';
import { didYouMean } from '../../scenarios/nearest.ts';
import { InputError } from '../../sim/errors.ts';
import { fieldNames, findField, positionalFields } from './field-names.ts';
import { fillIn } from './fill-in.ts';
import type { Session } from './session.ts';
import { bytesOf, fieldValue, kebab, parseAddress, parseCount } from './values.ts';
import type { Item } from './words.ts';

export interface CallPlan {
  /** Name in the table of ioctls. */
  readonly key: string;
  readonly fields: CallFields;
  readonly options: CallOptions;
  readonly fd: number;
  /** Layout of the argument; null: the argument is a number. */
  readonly layout: Layout | null;
  /** What was filled in. */
  readonly notes: readonly string[];
  /** Name for the id that is answered; null: only the usual ones. */
  readonly name: string | null;
}

type Values = Record<string, CallValue>;

/** The key of an ioctl as it is typed; null: there is none of this name. */
export function ioctlKey(word: string): string | null {
  const key = tableKey(word);
  return key in IOCTLS || key in PLAIN_IOCTLS ? key : null;
}

/** All ioctls as they are typed. */
export const IOCTL_WORDS: readonly string[] = [
  ...Object.keys(IOCTLS),
  ...Object.keys(PLAIN_IOCTLS),
].map(kebab);

export function planCall(session: Session, key: string, items: readonly Item[]): CallPlan {
  return new Planner(session, key, items).plan();
}

class Planner {
  private readonly session: Session;
  private readonly key: string;
  private readonly items: readonly Item[];
  private readonly spec: IoctlSpec | null;
  private readonly layout: Layout | null;
  private readonly values: Values = {};
  /** Structures behind the pointer, one for each `--entry`. */
  private readonly entries: Values[] = [];
  private readonly ranges: Values[] = [];
  private bytes: Uint8Array | null = null;
  private dataLayout: Layout | null = null;
  /** `field=value` belongs to the data once its type was given. */
  private inData = false;
  private words = 0;
  private fd: number | null = null;
  private address: bigint | null = null;
  private tail: Uint8Array | null = null;
  private name: string | null = null;
  private exact = false;

  constructor(session: Session, key: string, items: readonly Item[]) {
    this.session = session;
    this.key = key;
    this.items = items;
    this.spec = IOCTLS[key] ?? null;
    this.layout = this.spec === null ? null : argumentLayout(this.spec, session, items);
  }

  plan(): CallPlan {
    for (const item of this.items) this.take(item);
    this.giveData();
    const notes = this.exact || this.layout === null ? [] : this.fillIn();
    return {
      key: this.key,
      fields: this.values,
      options: {
        ...(this.address !== null && { address: this.address }),
        ...(this.tail !== null && { tail: this.tail }),
      },
      fd: this.fd ?? this.session.openFd,
      layout: this.layout,
      notes,
      name: this.name,
    };
  }

  private take(item: Item): void {
    switch (item.kind) {
      case 'word':
        this.takeWord(item.text);
        return;
      case 'option':
        if (!this.takeOption(item.name, item.value)) {
          this.setField(item.name, item.value ?? fail(`--${item.name} needs a value`));
        }
        return;
      case 'pair':
        this.takePair(item.name, item.value);
    }
  }

  private takeWord(text: string): void {
    const field = positionalFields(this.key)[this.words];
    if (field === undefined) {
      fail(`${kebab(this.key)}: "${text}" means nothing here; fields are given as name=value`);
    }
    this.words++;
    this.setField(field, text);
  }

  private takePair(name: string, value: string): void {
    if (name === 'data' && this.spec?.data) {
      this.startData(value);
      return;
    }
    const inner = name.startsWith('data.') ? name.slice(5) : name;
    const { dataLayout } = this;
    if (inner !== name && dataLayout === null) {
      fail(`${name}: give the type of the data first (--data vtd-s1)`);
    }
    const own = dataLayout === null ? null : findField(this.key, dataLayout, inner);
    if (dataLayout !== null && own !== null && (this.inData || inner !== name)) {
      const entry = this.entries.at(-1) ?? this.newEntry();
      entry[own] = this.value(dataLayout, own, value);
    } else if (inner !== name) {
      fail(unknownField(this.key, dataLayout as Layout, null, inner));
    } else {
      this.setField(name, value);
    }
  }

  /** Options that are no fields; false: the option is a field. */
  private takeOption(name: string, value: string | null): boolean {
    const given = (): string => value ?? fail(`--${name} needs a value`);
    const { names } = this.session;
    switch (name) {
      case 'fd':
        // As a field of its own (IOAS_MAP_FILE) it is given as fd=.
        this.fd = parseCount(given(), '--fd', names);
        return true;
      case 'at':
        this.address = parseAddress(given(), '--at', names);
        return true;
      case 'tail':
        this.tail = bytesOf(given()) ?? fail('--tail takes bytes: --tail hex:00000001');
        return true;
      case 'as':
        this.name = given().replace(/^@/, '');
        return true;
      case 'exact':
        this.exact = true;
        return true;
      case 'data':
        this.startData(given());
        return true;
      case 'entry':
        this.requireData('entry');
        if (this.dataLayout === null)
          fail('--entry: give the type of the data first (--data TYPE)');
        this.newEntry();
        if (value !== null) fail('--entry takes no value: --entry flags=1 ... --entry ...');
        return true;
      case 'range':
        this.ranges.push(rangeOf(given(), names));
        return true;
      default:
        return false;
    }
  }

  private newEntry(): Values {
    const entry: Values = {};
    this.entries.push(entry);
    return entry;
  }

  private requireData(option: string): DataSpec {
    return this.spec?.data ?? fail(`${kebab(this.key)}: --${option}: it takes no data`);
  }

  /** `--data vtd-s1`, or the bytes themselves. */
  private startData(text: string): void {
    const data = this.requireData('data');
    const bytes = bytesOf(text);
    if (bytes !== null) {
      this.bytes = bytes;
      return;
    }
    if (!('layouts' in data)) fail(`${kebab(this.key)}: --data takes bytes here: --data hex:00ff`);
    this.setField(data.form === 'answer' ? 'in_data_type' : data.type, text);
    this.inData = data.form !== 'answer';
  }

  private setField(name: string, text: string): void {
    const { key, layout, session } = this;
    if (layout === null) {
      if (name !== 'arg') fail(`${kebab(key)} has no field "${name}"; it has arg`);
      this.values.arg = parseAddress(text, 'arg', session.names);
      return;
    }
    const field =
      findField(key, layout, name) ?? fail(unknownField(key, layout, this.dataLayout, name));
    this.values[field] = this.value(layout, field, text);
    const data = this.spec?.data ?? null;
    if (data !== null && 'layouts' in data && data.form !== 'answer' && data.type === field) {
      const type = describe(layout.name, field, this.values[field] as Integer);
      this.dataLayout = data.layouts[String(type)] ?? null;
    }
  }

  private value(layout: Layout, field: string, text: string): CallValue {
    return fieldValue(layout, field, text, this.session.names) as CallValue;
  }

  private giveData(): void {
    const data = this.spec?.data ?? null;
    if (this.bytes !== null) this.values.data = this.bytes;
    else if (this.ranges.length > 0) {
      if (data?.form !== 'ranges') fail(`${kebab(this.key)}: --range: it takes no ranges`);
      this.values.data = this.ranges as CallValue;
    } else if (this.entries.length > 0) {
      if (data?.form !== 'entries' && this.entries.length > 1) {
        fail(`${kebab(this.key)}: the data is one structure, not several entries`);
      }
      this.values.data = (data?.form === 'entries' ? this.entries : this.entries[0]) as CallValue;
    } else if (this.inData && this.dataLayout !== null) {
      // A structure of zeros; no entry at all asks whether the type is known.
      this.values.data = data?.form === 'entries' ? [] : ({} as CallValue);
    }
  }

  private fillIn(): string[] {
    const layout = this.layout as Layout;
    return fillIn(this.key, this.values, this.session).map(({ field, value, why }) => {
      this.values[field] = value;
      const shown = describe(layout.name, field, value);
      const text = Array.isArray(shown) ? shown.join('|') : String(shown);
      return `${field}=${typeof shown === 'bigint' ? `0x${shown.toString(16)}` : text} (${why})`;
    });
  }
}

/** Of TEST_CMD the layout depends on the op. */
function argumentLayout(spec: IoctlSpec, { names }: Session, items: readonly Item[]): Layout {
  if (spec !== IOCTLS.TEST_CMD) return spec.layout;
  const named = items.find((item) => item.kind !== 'word' && item.name === 'op');
  const first = items.find((item) => item.kind === 'word');
  const text = named?.kind === 'option' || named?.kind === 'pair' ? named.value : first?.text;
  if (!text) return spec.layout;
  const op = fieldValue(spec.layout, 'op', text, names);
  return TEST_FORMS[String(describe(spec.layout.name, 'op', op as Integer))] ?? spec.layout;
}

function rangeOf(text: string, names: Session['names']): Values {
  const [, start, last] =
    /^([^-]+)-([^-]+)$/.exec(text) ?? fail(`--range ${text}: give START-LAST`);
  return {
    start: parseAddress(start, '--range', names),
    last: parseAddress(last, '--range', names),
  };
}

function unknownField(key: string, layout: Layout, data: Layout | null, name: string): string {
  const own = fieldNames(layout);
  const behind = data === null ? [] : fieldNames(data);
  const short = [...own, ...behind].map((field) => field.replace(/_id$/, ''));
  const hint = didYouMean(name.replaceAll('-', '_'), [...own, ...behind, ...short]);
  const more = behind.length === 0 ? '' : `; its data ${behind.join(', ')}`;
  return `${kebab(key)} has no field "${name}"${hint}; it has ${own.join(', ')}${more}`;
}

function fail(message: string): never {
  throw new InputError('ioctl-usage', message);
}

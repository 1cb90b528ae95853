/**
 * Field values as people write and read them, by the tables of symbols.ts: 'NEST_PARENT',
 * ['READABLE', 'WRITEABLE'], 'READABLE|WRITEABLE', '0x1000', a full Linux name, or an integer.
 */
import { InputError } from '../../../../sim/errors.ts';
import type { Integer } from './codec.ts';
import * as C from './constants.ts';
import { type Symbols, symbolsOf } from './symbols.ts';

/** A value as a person writes it: 5, 5n, '0x5', 'NEST_PARENT', ['READABLE', 'WRITEABLE']. */
export type Symbolic = Integer | string | boolean | readonly (Integer | string)[];

/** A value with names where it has them. */
export type Described = Integer | string | readonly (Integer | string)[];

const BY_LINUX_NAME: ReadonlyMap<string, number> = new Map(
  Object.entries(C).flatMap(([name, value]) => (typeof value === 'number' ? [[name, value]] : [])),
);

/** The integer that a person's value of a field stands for. */
export function resolve(struct: string, field: string, value: Symbolic): Integer {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  const symbols = symbolsOf(struct, field);
  if (typeof value === 'string') {
    if (symbols?.kind === 'flags' && value.includes('|')) {
      return union(struct, field, value.split('|'), symbols);
    }
    return resolveOne(struct, field, value.trim(), symbols);
  }
  return union(struct, field, value, symbols);
}

/** Names of a value: of its bits, or of the one it is; the rest stays a number. */
export function describe(struct: string, field: string, value: Integer): Described {
  const symbols = symbolsOf(struct, field);
  if (symbols === undefined) return value;
  if (symbols.kind === 'enum') {
    const found = Object.entries(symbols.names).find(
      ([, number]) => BigInt(number) === BigInt(value),
    );
    return found === undefined ? value : found[0];
  }
  let left = BigInt(value);
  const named: (Integer | string)[] = [];
  for (const [name, bit] of Object.entries(symbols.names)) {
    if ((left & BigInt(bit)) === 0n) continue;
    named.push(name);
    left &= ~BigInt(bit);
  }
  if (left !== 0n) named.push(left);
  return named;
}

function union(
  struct: string,
  field: string,
  values: readonly (Integer | string)[],
  symbols: Symbols | undefined,
): bigint {
  let bits = 0n;
  for (const value of values) {
    const one =
      typeof value === 'string' ? resolveOne(struct, field, value.trim(), symbols) : value;
    bits |= BigInt(one);
  }
  return bits;
}

function resolveOne(
  struct: string,
  field: string,
  text: string,
  symbols: Symbols | undefined,
): Integer {
  if (/^(0x[0-9a-f]+|\d+)$/i.test(text)) return BigInt(text);
  const value = symbols?.names[text.toUpperCase().replaceAll('-', '_')] ?? BY_LINUX_NAME.get(text);
  if (value !== undefined) return value;
  const known =
    symbols === undefined
      ? 'it takes an integer'
      : `known: ${Object.keys(symbols.names).join(', ')}`;
  throw new InputError('uapi-symbol', `${struct}.${field}: no value is called ${text}; ${known}`);
}

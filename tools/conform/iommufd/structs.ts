/** Argument structures as a person reads them: the layout of a recorded call, fields by name. */
import { decode, type Integer } from '../../../hw/host/iommufd/uapi/codec.ts';
import { IOCTLS, TEST_FORMS } from '../../../hw/host/iommufd/uapi/ioctls.ts';
import { elementBytes, type Field, type Layout } from '../../../hw/host/iommufd/uapi/layout.ts';

const TEST_PREFIX = 'TEST_CMD.';

/** Layout of a call by its recorded name; null: a command that nobody knows. */
export function layoutOf(name: string): Layout | null {
  const form = name.startsWith(TEST_PREFIX) ? TEST_FORMS[name.slice(TEST_PREFIX.length)] : null;
  return form ?? IOCTLS[name.startsWith(TEST_PREFIX) ? 'TEST_CMD' : name]?.layout ?? null;
}

/** Name of the field that contains a byte; its answer's name where two share the bytes. */
export function fieldAt(layout: Layout, at: number): string | null {
  let found: string | null = null;
  for (const [name, field] of Object.entries<Field>(layout.fields)) {
    const end = field.offset + field.count * elementBytes(field.kind);
    if (at >= field.offset && at < end) found = name;
  }
  return found;
}

/** Value of a field: small numbers in decimal, all others in hexadecimal. */
export function fieldText(layout: Layout, name: string, bytes: Uint8Array): string {
  const value = (decode(layout, bytes) as Readonly<Record<string, unknown>>)[name];
  return Array.isArray(value) ? value.map(integerText).join(' ') : integerText(value as Integer);
}

/** All fields that the bytes reach, as `name value` pairs; bytes beyond the structure at the end. */
export function structText(layout: Layout, bytes: Uint8Array): string {
  const parts: string[] = [];
  for (const [name, { offset }] of Object.entries<Field>(layout.fields)) {
    if (offset >= bytes.length) continue;
    const text = fieldText(layout, name, bytes);
    if (name.startsWith('__reserved') && /^[0 ]*$/.test(text)) continue;
    parts.push(`${name} ${text}`);
  }
  if (bytes.length > layout.size) {
    const tail = bytes.subarray(layout.size);
    const set = tail.findIndex((byte) => byte !== 0);
    parts.push(`and ${tail.length} more bytes${set < 0 ? ', all zero' : `, byte ${set} not zero`}`);
  }
  return parts.join(', ');
}

function integerText(value: Integer): string {
  return value >= -1 && value < 1000 ? String(value) : `0x${value.toString(16)}`;
}

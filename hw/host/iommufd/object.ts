/**
 * Objects of one /dev/iommu context and the table that names them (drivers/iommu/iommufd/main.c).
 * `users` counts all holders, the table being the first; `shortTerm` (wait_cnt) counts those that
 * hold an object only while a call runs.
 */
import { InternalError } from '../../../sim/errors.ts';
import { fail } from '../kernel/errno.ts';
import type { KernelMemory } from '../kernel/kernel-memory.ts';

export type ObjectType =
  | 'device'
  | 'hwpt-paging'
  | 'hwpt-nested'
  | 'ioas'
  | 'access'
  | 'fault'
  | 'viommu'
  | 'vdevice'
  | 'veventq'
  | 'hw-queue'
  | 'selftest';

const ID_MAX = 0x7fffffff;

export abstract class IommufdObject {
  abstract readonly type: ObjectType;
  /** Zero until the table has given one. */
  id = 0;
  users = 1;
  shortTerm = 1;
  /** Bytes of kernel memory that the object is. */
  readonly bytes: number;

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  /** The last user is gone: gives back all it holds. It is out of the table already. */
  abstract destroy(): void;

  /** Undoes a half-built object (default: as destroy). */
  abort(): void {
    this.destroy();
  }
}

/** An id that stays taken though nobody can find its object (a vDEVICE whose device has gone). */
const TOMBSTONE = 'tombstone';
/** An id whose object is still being built. */
const RESERVED = 'reserved';
type Slot = IommufdObject | typeof TOMBSTONE | typeof RESERVED;

export class ObjectTable {
  private readonly slots = new Map<number, Slot>();
  private readonly memory: KernelMemory;
  /** No id below it is free. */
  private firstFree = 1;

  constructor(memory: KernelMemory) {
    this.memory = memory;
  }

  /** Charges the object and reserves the lowest free id for it; lookups do not see it yet. */
  reserve(object: IommufdObject): void {
    this.memory.take(object.bytes, `${object.type} object`);
    try {
      this.memory.point('ENOMEM', `id of a ${object.type}`);
    } catch (error) {
      this.memory.give(object.bytes);
      throw error;
    }
    let id = this.firstFree;
    while (this.slots.has(id)) id++;
    if (id > ID_MAX) fail('EBUSY', 'all object ids are taken');
    this.firstFree = id + 1;
    this.slots.set(id, RESERVED);
    object.id = id;
  }

  /** iommufd_object_finalize: from now on lookups find it. */
  publish(object: IommufdObject): void {
    if (this.slots.get(object.id) !== RESERVED) {
      throw new InternalError('iommufd', `object ${object.id} is published without an id`);
    }
    this.slots.set(object.id, object);
  }

  /** iommufd_object_abort_and_destroy: undoes a reserved object and frees its id. */
  abort(object: IommufdObject): void {
    object.abort();
    this.forget(object);
  }

  /** iommufd_object_abort: frees the id of a reserved object that holds nothing yet. */
  forget(object: IommufdObject): void {
    this.free(object.id);
    this.memory.give(object.bytes);
  }

  /** iommufd_get_object: one user and one short-term user more; ENOENT if it is not there. */
  get<T extends IommufdObject>(id: number, kind: new (...args: never[]) => T): T {
    this.memory.point('ENOENT', `lookup of object ${id}`);
    const slot = this.slots.get(id);
    if (!(slot instanceof kind)) fail('ENOENT', `no ${kind.name} has the id ${id}`);
    slot.users++;
    slot.shortTerm++;
    return slot;
  }

  /** As `get`, for any type of object. */
  getAny(id: number): IommufdObject {
    this.memory.point('ENOENT', `lookup of object ${id}`);
    const slot = this.slots.get(id);
    if (slot === undefined || typeof slot === 'string')
      fail('ENOENT', `no object has the id ${id}`);
    slot.users++;
    slot.shortTerm++;
    return slot;
  }

  /** iommufd_put_object: the call that looked the object up is done with it. */
  put(object: IommufdObject): void {
    object.users--;
    object.shortTerm--;
  }

  /** The object without any count; null when there is none (for tests, reports, invariants). */
  peek(id: number): IommufdObject | null {
    const slot = this.slots.get(id);
    return slot === undefined || typeof slot === 'string' ? null : slot;
  }

  /** IOMMU_DESTROY. */
  destroyById(id: number): void {
    const slot = this.slots.get(id);
    if (slot === undefined || typeof slot === 'string')
      fail('ENOENT', `no object has the id ${id}`);
    if (slot.users !== 1) {
      fail('EBUSY', `object ${id} (${slot.type}) has ${slot.users - 1} other users`);
    }
    this.remove(slot);
  }

  /** iommufd_object_destroy_user, and removal by the kernel: the last user must be the caller. */
  remove(object: IommufdObject): void {
    if (object.users !== 1) {
      throw new InternalError(
        'iommufd',
        `object ${object.id} is removed with ${object.users} users`,
      );
    }
    this.free(object.id);
    object.destroy();
    this.memory.give(object.bytes);
  }

  /** As `remove`, but the id stays taken until the context closes. */
  entomb(object: IommufdObject): void {
    this.slots.set(object.id, TOMBSTONE);
    object.destroy();
    this.memory.give(object.bytes);
  }

  /** Whether no object and no tombstone is left (IOMMU_OPTION asks). */
  get empty(): boolean {
    return this.slots.size === 0;
  }

  /** All published objects in ascending order of their ids. */
  objects(): IommufdObject[] {
    const found: IommufdObject[] = [];
    for (const slot of this.slots.values()) if (typeof slot !== 'string') found.push(slot);
    return found.sort((a, b) => a.id - b.id);
  }

  /** Close of the context: passes in ascending order, each destroying what nobody else uses. */
  close(): void {
    for (;;) {
      const objects = this.objects();
      if (objects.length === 0) break;
      let destroyed = 0;
      for (const object of objects) {
        if (this.peek(object.id) !== object || object.users !== 1) continue;
        this.remove(object);
        destroyed++;
      }
      if (destroyed === 0) {
        const left = objects.map(({ id, type, users }) => `${type} ${id} (users ${users})`);
        throw new InternalError('iommufd', `objects cannot be destroyed: ${left.join(', ')}`);
      }
    }
    this.slots.clear();
    this.firstFree = 1;
  }

  private free(id: number): void {
    this.slots.delete(id);
    if (id < this.firstFree) this.firstFree = id;
  }
}

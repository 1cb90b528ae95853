/** IOMMU_DESTROY: ends an object that nobody but the table uses. */
import type { Command, IoctlCall } from './call.ts';
import { DESTROY } from './uapi/structs.ts';

function destroy(call: IoctlCall): void {
  const { context } = call;
  const id = call.u32(DESTROY.at.id);
  const object = context.objects.peek(id);
  context.objects.destroyById(id);
  if (object !== null && context.vfioIoas === object) context.vfioIoas = null;
}

export const DESTROY_COMMANDS: readonly Command[] = [
  {
    name: 'IOMMU_DESTROY',
    word: DESTROY.word,
    size: DESTROY.size,
    minSize: DESTROY.minSize,
    run: destroy,
  },
];

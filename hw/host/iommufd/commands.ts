/** The ioctls that every /dev/iommu answers, gathered from the modules that carry them out. */
import type { Command } from './call.ts';
import { DESTROY_COMMANDS } from './destroy.ts';
import { FAULT_COMMANDS } from './objects/fault.ts';
import { HW_INFO_COMMANDS } from './objects/hw-info.ts';
import { HW_QUEUE_COMMANDS } from './objects/hw-queue.ts';
import { HWPT_ALLOC_COMMANDS } from './objects/hwpt-alloc.ts';
import { HWPT_COMMANDS } from './objects/hwpt-ioctls.ts';
import { IOAS_COMMANDS } from './objects/ioas-ioctls.ts';
import { VDEVICE_COMMANDS } from './objects/vdevice.ts';
import { VEVENTQ_COMMANDS } from './objects/veventq.ts';
import { VIOMMU_COMMANDS } from './objects/viommu.ts';
import { OPTION_COMMANDS } from './option.ts';
import { VFIO_IOAS_COMMANDS } from './vfio-ioas.ts';

export const COMMANDS: readonly Command[] = [
  ...DESTROY_COMMANDS,
  ...IOAS_COMMANDS,
  ...OPTION_COMMANDS,
  ...VFIO_IOAS_COMMANDS,
  ...HWPT_ALLOC_COMMANDS,
  ...HW_INFO_COMMANDS,
  ...HWPT_COMMANDS,
  ...FAULT_COMMANDS,
  ...VIOMMU_COMMANDS,
  ...VDEVICE_COMMANDS,
  ...VEVENTQ_COMMANDS,
  ...HW_QUEUE_COMMANDS,
];

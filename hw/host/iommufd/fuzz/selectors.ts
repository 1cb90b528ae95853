/** Objects by what can be done with them, for calls that need more than an object of some type. */
import { MockDevice } from '../drivers/mock/device.ts';
import type { IommufdObject } from '../object.ts';
import { Device } from '../objects/device.ts';
import { HwptNested } from '../objects/hwpt-nested.ts';
import { Hwpt, HwptPaging } from '../objects/hwpt-paging.ts';
import { Ioas } from '../objects/ioas.ts';
import { Viommu } from '../objects/viommu.ts';

export type Selector =
  | 'ioas'
  | 'parent'
  | 'mock-parent'
  | 'tracked'
  | 'pasid'
  | 'viommu'
  | 'mock-viommu'
  | 'virtual'
  | 'mock-device'
  | 'reporting'
  | 'paper-device';

const MOCK = 'iommufd_mock';

const TESTS: Readonly<Record<Selector, (object: IommufdObject) => boolean>> = {
  ioas: (object) => object instanceof Ioas,
  parent: (object) => object instanceof HwptPaging && object.nestParent,
  'mock-parent': (object) => isParent(object) && object.domain.driver.name === MOCK,
  tracked: (object) => object instanceof HwptPaging && object.domain.dirty !== undefined,
  pasid: (object) => object instanceof Hwpt && object.pasidCompatible,
  viommu: (object) => object instanceof Viommu,
  'mock-viommu': (object) => object instanceof Viommu && object.parent.domain.driver.name === MOCK,
  virtual: (object) => object instanceof HwptNested && object.viommu !== null,
  'mock-device': (object) => object instanceof Device && object.iommu.driver.name === MOCK,
  reporting: (object) =>
    object instanceof Device && object.iommu instanceof MockDevice && object.iommu.viommu !== null,
  'paper-device': (object) => object instanceof Device && object.iommu.driver.name !== MOCK,
};

function isParent(object: IommufdObject): object is HwptPaging {
  return object instanceof HwptPaging && object.nestParent;
}

export function select(name: Selector, objects: readonly IommufdObject[]): IommufdObject[] {
  return objects.filter(TESTS[name]);
}

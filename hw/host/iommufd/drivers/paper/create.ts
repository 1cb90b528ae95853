/** Makes a driver on paper by the name of the kind of IOMMU. */
import { AmdPaperDriver, type AmdPaperOptions } from './amd.ts';
import type { PaperOptions } from './driver.ts';
import { RiscvPaperDriver, type RiscvPaperOptions } from './riscv.ts';
import { SmmuPaperDriver, type SmmuPaperOptions } from './smmuv3.ts';
import { VtdPaperDriver } from './vtd.ts';

interface Kinds {
  readonly vtd: { readonly driver: VtdPaperDriver; readonly options: PaperOptions };
  readonly smmuv3: { readonly driver: SmmuPaperDriver; readonly options: SmmuPaperOptions };
  readonly amd: { readonly driver: AmdPaperDriver; readonly options: AmdPaperOptions };
  readonly 'riscv-linux': {
    readonly driver: RiscvPaperDriver;
    readonly options: RiscvPaperOptions;
  };
}

export type PaperKind = keyof Kinds;

const MAKERS: { readonly [K in PaperKind]: (options: Kinds[K]['options']) => Kinds[K]['driver'] } =
  {
    vtd: (options) => new VtdPaperDriver(options),
    smmuv3: (options) => new SmmuPaperDriver(options),
    amd: (options) => new AmdPaperDriver(options),
    'riscv-linux': (options) => new RiscvPaperDriver(options),
  };

export function createPaperDriver<K extends PaperKind>(
  kind: K,
  options: Kinds[K]['options'],
): Kinds[K]['driver'] {
  return MAKERS[kind](options);
}

/** What units on paper would have been told, in words. */
import type { PaperRecord } from '../../hw/host/iommufd/drivers/paper/driver.ts';
import { hexNumber } from './dump.ts';

export function recordText(record: PaperRecord): string {
  switch (record.kind) {
    case 'flush':
      return `${unitName(record.unit)} drops all translations of a ${record.domain.kind} domain`;
    case 'range': {
      const { first, last, leaf } = record;
      const what = leaf ? 'leaves' : 'leaves and tables';
      return `${unitName(record.unit)} drops ${what} of ${hexNumber(first)}-${hexNumber(last)}`;
    }
    case 'commands': {
      const words = record.commands.map(commandText);
      return `${unitName(record.unit)} carries out ${words.join('; ')}`;
    }
    case 'response': {
      const { device, request, code } = record;
      return `${device.name} is answered ${code} for group ${request.grpid}`;
    }
  }
}

export function unitName(unit: object): string {
  return 'name' in unit ? String(unit.name) : 'the unit';
}

function commandText(command: readonly bigint[]): string {
  return command.map(hexNumber).join(' ');
}

/** What each wait reason means to a reader; the reasons are those of hw/pcie/transactions.ts. */
export const WAIT_WORDS: readonly (readonly [reason: string, words: string])[] = [
  ['issue', 'waiting in the device'],
  ['link-up', 'link to the host'],
  ['input', 'entering the IOMMU'],
  ['context', 'context fetch'],
  ['iotlb', 'IOTLB lookup'],
  ['walk-queue', 'waiting for a walker'],
  ['walk', 'page walk'],
  ['order', 'waiting for older DMAs'],
  ['fault', 'fault handling'],
  ['memory', 'data in memory'],
  ['link-down', 'link to the device'],
];

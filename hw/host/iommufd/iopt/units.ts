/** Pages and addresses as 64-bit numbers. */
export const PAGE = 4096n;
export const PAGE_SHIFT = 12n;
export const PAGE_MASK = 0xfffn;
export const U64_MAX = 0xffff_ffff_ffff_ffffn;

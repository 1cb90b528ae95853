/** What a request wants to do, as a small set of bits. */

export const ACCESS_READ = 1;
export const ACCESS_WRITE = 2;
export const ACCESS_EXECUTE = 4;
/** Supervisor privilege (PASID "privileged mode requested"). */
export const ACCESS_PRIVILEGED = 8;
/**
 * The answer should report all permissions instead of failing for a missing one (an ATS
 * translation request). WRITE is then "no-write not set": the requester may write later.
 */
export const ACCESS_REPORT = 16;

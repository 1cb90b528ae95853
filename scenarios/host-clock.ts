/** The host's clock, for statistics of how a run went on this machine. Never affects a result. */

export function hostNanoseconds(): number {
  return Number(process.hrtime.bigint());
}

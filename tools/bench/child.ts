/** Process of one benchmark run: takes a name, prints the value. See harness.ts. */
import '../compiler.ts';
import { BENCHMARKS } from './registry.ts';

const value = await BENCHMARKS[process.argv[2]].run();
process.stdout.write(String(value));
